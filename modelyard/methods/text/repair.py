"""Text repair by fixed rules: what a text becomes depends on the text alone.

Repair changes only what is damage: text decoded in the wrong encoding (ftfy), characters nobody can see, composition
(NFC), runs of white space. Width, script and markup stay unless asked for: they carry meaning.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Literal

from modelyard.methods.text.markup import Code, strip_html, strip_markdown
from modelyard.methods.text.script_variants import Punctuation, Script, to_half_width, to_script

# Text decoded in the wrong encoding always shows letters or signs of these blocks (Latin-1 to Cyrillic and beyond,
# mathematical signs, box drawing): only such texts are worth ftfy's 15 microseconds. Common punctuation is not in it.
_SUSPECT = re.compile("[\x80-\u05ff\u2200-\u22ff\u2500-\u25ff]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
# Seen by nobody, meaning nothing between these characters: zero-width space and joiners, soft hyphen, directions, tags.
_INVISIBLE = re.compile("[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
# Joiners mean something between emoji and in scripts that join letters (Arabic, Persian, Indic): only there they stay.
_JOINS = "\u0600-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u17ff\u1800-\u18af\u2600-\u27bf\ufe0f\U0001f000-\U0001faff"
_JOINER = re.compile(f"(?<![{_JOINS}])[\u200c\u200d]+|[\u200c\u200d]+(?![{_JOINS}])")
_SURROGATE = re.compile("[\ud800-\udfff]")
_EMPTY_LINES = re.compile("\n{3,}")
_MOST_ROUNDS = 8

Form = Literal["NFC", "NFKC", "none"]
Whitespace = Literal["collapse", "lines", "keep"]
UNSETTLED = "unsettled"


@dataclass(frozen=True)
class Repair:
    """Which repairs are made, in this order. Code points that no file can hold (lone surrogates) always go.

    Attributes:
        encoding: undo text that was decoded in the wrong encoding (`schÃ¶n` for `schön`).
        control: remove control characters other than white space.
        markdown, markup: Markdown and HTML to plain text; `code` says whether Markdown's code stays.
        invisible: remove zero-width and direction characters where they mean nothing.
        form: Unicode normalization form.
        half_width: full-width letters and digits to ASCII; `punctuation` says whether Chinese punctuation too.
        script: Chinese characters to one script.
        whitespace: `collapse`: every run of white space becomes one space; `lines`: inside lines only, with at most
            one empty line between them; none at the ends.
    """

    encoding: bool = True
    control: bool = True
    markdown: bool = False
    markup: bool = False
    code: Code = "keep"
    invisible: bool = True
    form: Form = "NFC"
    half_width: bool = False
    punctuation: Punctuation = "keep"
    script: Script | None = None
    whitespace: Whitespace = "collapse"

    def __call__(self, text: str) -> str:
        """The repaired text; repairing it again changes nothing."""
        return self.explain(text)[0]

    def explain(self, text: str) -> tuple[str, tuple[str, ...]]:
        """The repaired text and the kinds of repair it took, in order.

        Repairs are repeated until nothing changes, because one can uncover work for another. A text that goes on
        changing (markup quoted in markup, many times over) stays as it was, and the kind is UNSETTLED.
        """
        kinds: dict[str, None] = {}
        found = text
        for _ in range(_MOST_ROUNDS):
            before = found
            for kind, step in self._steps:
                after = step(found)
                if after != found:
                    kinds[kind] = None
                    found = after
            if found == before:
                return found, tuple(kinds)
        text = _sound(text)
        return text, (UNSETTLED,)

    @cached_property
    def _steps(self) -> tuple[tuple[str, Callable[[str], str]], ...]:
        steps: list[tuple[str, Callable[[str], str]]] = [("surrogates", _sound)]
        if self.encoding:
            steps.append(("encoding", _decode_again))
        if self.control:
            steps.append(("control characters", lambda text: _CONTROL.sub("", text)))
        if self.markdown:
            steps.append(("markdown", lambda text: strip_markdown(text, self.code, self.markup)))
        elif self.markup:
            steps.append(("markup", strip_html))
        if self.invisible:
            steps.append(("invisible characters", _visible))
        if self.form != "none":
            steps.append(("composition", partial(_normalize, self.form)))
        if self.half_width:
            steps.append(("width", partial(to_half_width, punctuation=self.punctuation)))
        if self.script:
            steps.append(("script", partial(to_script, script=self.script)))
        if self.whitespace != "keep":
            steps.append(("white space", _one_space if self.whitespace == "collapse" else _one_space_in_lines))
        return tuple(steps)


def _sound(text: str) -> str:
    """Surrogate pairs joined, lone ones replaced by U+FFFD: what is left can be written in UTF-8."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _decode_again(text: str) -> str:
    return _fix_encoding()(text) if not text.isascii() and _SUSPECT.search(text) else text


def _visible(text: str) -> str:
    return text if text.isascii() else _JOINER.sub("", _INVISIBLE.sub("", text))


def _normalize(form: Literal["NFC", "NFKC"], text: str) -> str:
    return text if text.isascii() else unicodedata.normalize(form, text)


def _one_space(text: str) -> str:
    return " ".join(text.split())


def _one_space_in_lines(text: str) -> str:
    lines = "\n".join(" ".join(line.split()) for line in text.splitlines())
    return _EMPTY_LINES.sub("\n\n", lines).strip("\n")


@cache
def _fix_encoding() -> Callable[[str], str]:
    import ftfy

    def fix(text: str) -> str:
        # ftfy may replace bytes it cannot restore by U+FFFD; a text that would lose characters stays as it is.
        fixed: str = ftfy.fix_encoding(text)
        return text if fixed.count("\ufffd") > text.count("\ufffd") else fixed

    return fix
