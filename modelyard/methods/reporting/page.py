"""The page: one HTML file that opens offline, in English and Chinese with a switch that needs no script.

`render` is pure: the same record and arguments give the same bytes. A content security policy in the page forbids
every request, so that nothing in the data could cause one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from modelyard.base.messages import LANGUAGES, t
from modelyard.errors import UsageError
from modelyard.methods.reporting import quality_report
from modelyard.methods.reporting.marks import mark
from modelyard.methods.reporting.markup import Markup, Node, el, isolated
from modelyard.methods.reporting.record import About, Record, parse
from modelyard.methods.reporting.sections import blocks
from modelyard.methods.reporting.sections.classes import classes
from modelyard.methods.reporting.sections.data import data
from modelyard.methods.reporting.sections.environment import environment, reproduce
from modelyard.methods.reporting.sections.evidence import evidence
from modelyard.methods.reporting.sections.gate import gate
from modelyard.methods.reporting.sections.header import header
from modelyard.methods.reporting.sections.history import history
from modelyard.methods.reporting.sections.latency import latency
from modelyard.methods.reporting.sections.limits import limits
from modelyard.methods.reporting.sections.lineage import lineage
from modelyard.methods.reporting.sections.many import tasks
from modelyard.methods.reporting.sections.mistakes import mistakes
from modelyard.methods.reporting.sections.quality import quality
from modelyard.methods.reporting.sections.training import training
from modelyard.methods.reporting.sections.use import use
from modelyard.methods.reporting.style import CSS
from modelyard.methods.reporting.view import Section, View
from modelyard.methods.reporting.words import Words

Build = Callable[[View], Section | Sequence[Section] | None]
GROUPS: tuple[tuple[str, tuple[Build, ...]], ...] = (
    (mark("Purpose and verdict"), (use, gate, limits)),
    (mark("How good it is"), (quality, classes, mistakes, tasks, latency, history, blocks.evaluations)),
    (mark("Where it comes from"), (data, training, lineage)),
    (mark("To repeat it"), (environment, reproduce, evidence)),
)
"""Sections in the order of the page, in the groups of its contents."""
SECTIONS = tuple(build for _, builders in GROUPS for build in builders)

TAGS = {"en": "en", "zh": "zh-CN"}
NAMES = {"en": "English", "zh": "中文"}
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Pictures stand in the page itself: nothing is ever asked of a network."""


def render(record: Record | Mapping[str, Any], lang: str = "en", about: About | None = None) -> str:
    """The whole page as text.

    Args:
        record: parsed, or as JSON (then checked first).
        lang: `en` or `zh`: which language the page opens in; it holds both.
        about: what the owner says of the model; None means what the record holds.

    Raises:
        InputError: the record is not one; all problems are listed.
        UsageError: an unknown language.
    """
    view = viewed(record, lang, about)
    views = [View(view.record, Words(one), view.about) for one in LANGUAGES]
    return document(view.record.title, lang, [_main(one) for one in views])


def viewed(record: Record | Mapping[str, Any], lang: str, about: About | None) -> View:
    """The record in one language with the owner's words, its title settled. Raises as `render`."""
    if lang not in LANGUAGES:
        raise UsageError(t("unknown language `{lang}`", lang=lang), expected=" or ".join(LANGUAGES))
    read = record if isinstance(record, Record) else parse(record)
    said = about or read.words_of_owner()
    name = said.title or read.title or read.project
    return View(read.model_copy(update={"title": name}), Words(lang), said)


def document(title: str, lang: str, bodies: Sequence[Markup]) -> str:
    """A page around one `main` for each language of LANGUAGES, with the switch between them.

    Args:
        title: of the window.
        lang: the language it opens in.
    """
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="generator", content="modelyard"),
        el("title", title),
        el("style", Markup(CSS)),
    )
    switches = [_switch(one, one == lang) for one in LANGUAGES]
    whole = el("html", head, el("body", switches, _bar(), bodies), lang=TAGS[lang])
    return f"<!doctype html>\n{whole}\n"


def built(view: View, builders: Iterable[Build] = SECTIONS) -> list[Section]:
    """The sections that have something to show, in order."""
    made = [build(view) for build in builders]
    return [part for one in made for part in ([one] if isinstance(one, Section) else one or ())]


def language_of(record: Record) -> str:
    """The language to open in when nobody chose: `zh` if the title, labels and quoted texts are mostly Chinese.

    It follows from the record alone: the reader's own settings must not change the bytes of an artifact.
    """
    texts = [record.title, *(record.model.labels if record.model else [])]
    for report in record.reports.values():
        parts = [report, *quality_report.tasks(report).values()]
        texts += [row.text for part in parts for row in quality_report.read(part).mistakes]
    letters = [letter for letter in "".join(texts) if letter.isalpha()]
    han = sum("\u4e00" <= letter <= "\u9fff" for letter in letters)
    return "zh" if letters and han > 0.3 * len(letters) else "en"


def _switch(lang: str, checked: bool) -> Markup:
    return el(
        "input", type="radio", name="lang", id=f"lang-{lang}", class_="vh", checked=checked, aria_label=NAMES[lang]
    )


def _bar() -> Markup:
    labels = [el("label", NAMES[lang], for_=f"lang-{lang}", lang=TAGS[lang]) for lang in LANGUAGES]
    return el("div", el("span", "Modelyard", class_="brand"), el("div", *labels, class_="switch"), class_="bar")


def _main(view: View) -> Markup:
    lang = view.words.lang
    groups = [(name, built(view, builders)) for name, builders in GROUPS]
    parts = [part for _, found in groups for part in found]
    shown = [el("section", el("h2", part.title), part.content, id=f"{lang}-{part.name}") for part in parts]
    return el("main", header(view), _nav(view, parts), _contents(view, groups), shown, _footer(view), lang=TAGS[lang])


def _nav(view: View, parts: list[Section]) -> Markup:
    links = [el("li", el("a", part.title, href=f"#{view.words.lang}-{part.name}")) for part in parts]
    return el("nav", el("ul", *links), aria_label=view.t("Sections"))


def _contents(view: View, groups: Sequence[tuple[str, Sequence[Section]]]) -> Markup:
    """Every section by group, and every evaluation by name; folded on a screen, a list on paper."""
    items = []
    for name, parts in groups:
        links = [el("li", _link(view, part.title, part.name), _evaluations(view, part)) for part in parts]
        if links:
            items.append(el("li", el("b", view.t(name)), el("ul", *links)))
    return el("details", el("summary", view.t("Contents")), el("ul", *items), class_="toc")


def _link(view: View, title: Node, name: str) -> Markup:
    return el("a", title, href=f"#{view.words.lang}-{name}")


def _evaluations(view: View, part: Section) -> Markup | None:
    if part.name != blocks.NAME:
        return None
    found = enumerate(blocks.documents(view))
    return el(
        "ul", *(el("li", el("a", blocks.heading(view, one), href=f"#{blocks.anchor(view, at)}")) for at, one in found)
    )


def _footer(view: View) -> Markup:
    made = view.t("Made by modelyard from the record of project “{name}”.", name=view.record.project[:80])
    return el("footer", el("p", isolated(made)), el("p", el("code", view.digest)) if view.digest else None)
