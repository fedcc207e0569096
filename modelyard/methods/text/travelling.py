"""Repairs that travel with the texts they were made on: named as data in a data set and in a model, made again on the
texts a model is asked about. Nothing in it is code: a list of settings of rules that this package knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.text.repair import Repair

KIND = "text-repair"
VERSION = 1
"""Of the rules: a change of what a setting does raises it, and models made before say that they need the old ones."""
CHOICES: Mapping[str, tuple[Any, ...]] = {
    "encoding": (False, True),
    "control": (False, True),
    "markdown": (False, True),
    "markup": (False, True),
    "code": ("keep", "drop"),
    "invisible": (False, True),
    "form": ("none", "NFC", "NFKC"),
    "half_width": (False, True),
    "punctuation": ("keep", "half"),
    "script": (None, "simplified", "traditional"),
    "whitespace": ("keep", "lines", "collapse"),
}
"""What each setting may be, what does more behind what does less."""
OF = {"code": "markdown", "punctuation": "half_width"}
"""Settings that only say how another one is done."""


def spec(repair: Repair) -> dict[str, Any]:
    """A repair as data sets and models write it."""
    return {"kind": KIND, "version": VERSION, **{one.name: getattr(repair, one.name) for one in fields(repair)}}


def specs(repairs: Iterable[Repair]) -> list[dict[str, Any]]:
    return [spec(one) for one in repairs]


def parse(value: Any, where: str) -> tuple[Repair, ...]:
    """The repairs of a list that `specs` wrote.

    Raises:
        InputError: it is no such list, or of rules that this version does not know: guessing would answer wrongly.
    """
    if not isinstance(value, list | tuple):
        raise _unknown(where, t("`repairs` is no list"))
    return tuple(_parsed(one, where) for one in value)


def _parsed(value: Any, where: str) -> Repair:
    if not isinstance(value, Mapping) or value.get("kind") != KIND:
        raise _unknown(where, t("a repair of an unknown kind"))
    if value.get("version") != VERSION:
        raise _unknown(where, t("a repair of version {version}", version=str(value.get("version"))[:20]))
    settings = {name: each for name, each in value.items() if name not in ("kind", "version")}
    for name, choices in CHOICES.items():
        found = settings.get(name)
        if not any(found is one or (isinstance(one, str) and found == one) for one in choices):
            raise _unknown(where, t("a repair whose `{name}` is {found}", name=name, found=str(found)[:20]))
    if settings.keys() != CHOICES.keys():
        raise _unknown(where, t("a repair with the setting `{name}`", name=min(settings.keys() - CHOICES.keys())[:40]))
    return Repair(**settings)


def _unknown(where: str, found: str) -> InputError:
    return InputError(
        found,
        where=where,
        expected=t("repairs of texts that this version knows (version {version})", version=VERSION),
        remedy=t("use the Modelyard it was made with, or make it again with this one"),
    )


def repaired(repairs: Sequence[Repair], text: str) -> str:
    """The text after all repairs. Repaired texts come back as they are."""
    for one in repairs:
        text = one(text)
    return text


def joined(earlier: Sequence[Repair], later: Repair) -> Repair:
    """What to make on texts that were repaired before, so that earlier repairs still hold afterwards.

    Of each setting the one that does more. Then a text that the result leaves alone is one that the earlier repairs
    leave alone too, and all of them one after another change no text twice.

    Raises:
        InputError: the earlier ones ask for the other script.
    """
    for one in earlier:
        if one.script and later.script and one.script != later.script:
            raise InputError(
                t("the texts were made {earlier} before, and are now to be {later}", earlier=t(one.script),
                  later=t(later.script)),
                where="script",
                remedy=t("set `script` in one step only"),
            )  # fmt: skip
        later = replace(later, **{name: _more(one, later, name) for name in CHOICES})
    return later


def _more(one: Repair, other: Repair, name: str) -> Any:
    """Of one setting, the value that does more; a setting of something that is not done says nothing."""
    rule = OF.get(name)
    said = [getattr(each, name) for each in (one, other) if rule is None or getattr(each, rule)]
    return max(said or [getattr(other, name)], key=CHOICES[name].index)


def added(earlier: tuple[Repair, ...], later: Repair) -> tuple[Repair, ...]:
    """The list with another repair; the same list if that adds nothing."""
    return earlier if earlier and earlier[-1] == later else (*earlier, later)


def of_letters(repairs: Iterable[Repair]) -> tuple[Repair, ...]:
    """The repairs without those of white space and markup: of a prompt both say how the text is to go on."""
    return tuple(replace(one, whitespace="keep", markdown=False, markup=False) for one in repairs)


def told(repairs: Iterable[Repair], say: Callable[..., str] = t) -> list[str]:
    """What is repaired, in words, in order, each once; `say` puts a template into a language."""
    found: dict[str, None] = {}
    for one in repairs:
        found |= dict.fromkeys(_words(one, say))
    return list(found)


def _words(repair: Repair, t: Callable[..., str]) -> list[str]:
    words = [
        (repair.encoding, t("text decoded in the wrong encoding restored")),
        (repair.control, t("control characters removed")),
        (repair.markdown, t("marks of Markdown removed")),
        (repair.markup, t("HTML tags removed, entities decoded")),
        (repair.invisible, t("invisible characters removed")),
        (repair.form != "none", t("Unicode form {form}", form=repair.form)),
        (repair.half_width, t("full-width letters and digits to ASCII")),
        (repair.half_width and repair.punctuation == "half", t("full-width punctuation to ASCII")),
        (repair.script == "simplified", t("Chinese characters to simplified ones")),
        (repair.script == "traditional", t("Chinese characters to traditional ones")),
        (repair.whitespace == "collapse", t("runs of white space to one space")),
        (repair.whitespace == "lines", t("runs of white space inside lines to one space")),
    ]
    return [text for holds, text in words if holds]
