"""The datasheet as one HTML page that opens offline, in English and Chinese."""

from __future__ import annotations

from modelyard.base.messages import LANGUAGES, t
from modelyard.errors import UsageError
from modelyard.methods.reporting.charts import bars
from modelyard.methods.reporting.datasheet.answers import FIELDS, Answer, Part, field_text, limits, parts, reasons
from modelyard.methods.reporting.datasheet.facts import Datasheet
from modelyard.methods.reporting.datasheet.source import SOURCE_FIELDS
from modelyard.methods.reporting.markup import Markup, Node, el, isolated, join
from modelyard.methods.reporting.page import TAGS, document
from modelyard.methods.reporting.record import Evidence
from modelyard.methods.reporting.view import digest_code, facts, fold, proof, table
from modelyard.methods.reporting.words import DASH, Words, count

MAX_BARS = 12
QUANTILES = ("0.05", "0.25", "0.5", "0.75", "0.95")


def html(sheet: Datasheet, lang: str = "en") -> str:
    """The whole page as text; `lang` is the language it opens in. Raises UsageError for another language."""
    if lang not in LANGUAGES:
        raise UsageError(t("unknown language `{lang}`", lang=lang), expected=" or ".join(LANGUAGES))
    return document(sheet.owner.title or sheet.project, lang, [_main(sheet, Words(one)) for one in LANGUAGES])


def _main(sheet: Datasheet, words: Words) -> Markup:
    built = [(part, _extra(part.name, sheet, words)) for part in parts(sheet, words)]
    sections = [_section(part, extra, words) for part, extra in built]
    links = [el("li", el("a", part.title, href=f"#{words.lang}-{part.name}")) for part, _ in built]
    nav = el("nav", el("ul", *links), aria_label=words.t("Sections"))
    footer = el("footer", el("p", el("code", sheet.digest)))
    return el("main", _head(sheet, words), nav, sections, footer, lang=TAGS[words.lang])


def _head(sheet: Datasheet, words: Words) -> Markup:
    title = el(
        "div",
        el("p", words.t("Datasheet of a data set"), class_="kicker"),
        el("h1", isolated(sheet.owner.title or sheet.project, 160)),
        el("p", digest_code(sheet.digest), class_="version"),
    )
    said = list(limits(sheet, words))
    badge = el("span", words.t("To be settled"), f": {len(said)}", class_="badge")
    told = el("div", badge, class_="verdict draft") if said else None
    listed = el("ul", *(el("li", isolated(text)) for text in said), class_="limits") if said else None
    sizes = facts(
        [
            (words.t("Rows"), count(sheet.figures["rows"])),
            (words.t("Columns"), count(len(sheet.figures.get("columns", ())))),
            (words.t("Sources"), count(len(sheet.sources))),
            (words.t("Project"), isolated(sheet.project, 80)),
        ],
        class_="strip",
    )
    return el("header", title, told, listed, sizes, class_="hero")


def _section(part: Part, extra: Node, words: Words) -> Markup:
    answers = [_answer(answer, words) for answer in part.answers]
    return el(
        "section", el("h2", part.title), el("dl", *answers, class_="prose"), extra, id=f"{words.lang}-{part.name}"
    )


def _answer(answer: Answer, words: Words) -> Markup:
    lines = answer.answer.splitlines()
    shown = [el("p", isolated(line)) for line in lines] or el("em", words.t("not stated"))
    return el("div", el("dt", answer.question), el("dd", shown))


def _extra(name: str, sheet: Datasheet, words: Words) -> Node:
    if name == "composition":
        charts = [chart for chart in (_labels(sheet, words), _lengths(sheet, words), _missing(sheet, words)) if chart]
        drawn = el("div", *charts, class_="charts" if len(charts) > 2 else "charts two") if charts else None
        return join(drawn, _columns(sheet, words))
    if name == "collection":
        return _sources(sheet, words)
    if name == "preprocessing":
        return join(_accounts(sheet, words), _contract(sheet, words), _measured(sheet, words), _notes(sheet, words))
    return None


def _labels(sheet: Datasheet, words: Words) -> Markup | None:
    labels = sheet.figures.get("labels")
    shares = list(labels["shares"].items()) if labels else []
    rows = [(name, share, f"{100 * share:.1f} %") for name, share in shares[:MAX_BARS]]
    left = len(shares) - len(rows)
    return bars.shares(words.t("Labels"), rows, note=words.t("{n} more", n=left) if left > 0 else None)


def _lengths(sheet: Datasheet, words: Words) -> Markup | None:
    rows = []
    for item in sheet.figures.get("columns", ()):
        found = item.get("length", {})
        known = [found.get("quantiles", {}).get(share) for share in QUANTILES]
        if found.get("unit") == "characters" and all(value is not None for value in known):
            text = words.t("median {middle}, 95 % up to {high}", middle=count(known[2]), high=count(known[4]))
            rows.append(bars.Box(item["name"], text, *known))
    note = words.t("Thick: the middle half of the texts; thin: nine in ten.")
    return bars.boxes(words.t("Length of texts in characters"), rows[:MAX_BARS], note=note)


def _missing(sheet: Datasheet, words: Words) -> Markup | None:
    found = [(item["name"], item["missing"] / item["rows"]) for item in sheet.figures["columns"] if item["missing"]]
    rows = [(name, share, f"{100 * share:.1f} %") for name, share in sorted(found, key=lambda pair: -pair[1])]
    return bars.shares(words.t("Missing values"), rows[:MAX_BARS])


def _columns(sheet: Datasheet, words: Words) -> Markup | None:
    rows = [
        [isolated(item["name"], 60), item["role"], el("code", item["type"]), count(item["missing"]),
         ("" if item["distinct_exact"] else "≈ ") + count(item["distinct"])]
        for item in sheet.figures.get("columns", ())
    ]  # fmt: skip
    heads = [words.t("Column"), words.t("Role"), words.t("Type"), "#" + words.t("Missing"), "#" + words.t("Distinct")]
    shown = table(heads, rows)
    return fold(words.t("Columns"), shown, opened=len(rows) <= 12) if shown else None


def _sources(sheet: Datasheet, words: Words) -> Markup | None:
    rows: list[list[Node]] = []
    for source in sheet.sources:
        said = [field_text(source, name, words) for name in SOURCE_FIELDS]
        cells: list[Node] = [
            isolated(text, 200) if text else el("em", words.t("not stated"), class_="refused") for text in said
        ]
        rows.append([join(el("b", source.step), " ", isolated(source.origin, 80)), *cells])
    return table([words.t("Source"), *(words.t(FIELDS[name]) for name in SOURCE_FIELDS)], rows)


def _accounts(sheet: Datasheet, words: Words) -> Markup | None:
    rows = [
        [one.step, el("code", one.uses), count(one.num_in), count(one.num_added), count(one.num_kept),
         count(one.num_removed), reasons(one, words).strip(" ()") or DASH, count(one.num_changed)]
        for one in sheet.accounts
    ]  # fmt: skip
    heads = [
        words.t("Step"), words.t("Stage"), "#" + words.t("Rows in"), "#" + words.t("Added"), "#" + words.t("Kept"),
        "#" + words.t("Removed"), words.t("Why"), "#" + words.t("Changed"),
    ]  # fmt: skip
    return table(heads, rows)


def _contract(sheet: Datasheet, words: Words) -> Markup | None:
    return _evidence_table(words.t("Contract"), sheet.contract, sheet, words)


def _measured(sheet: Datasheet, words: Words) -> Markup | None:
    told = {"data.rows", "data.removed_rate", "data.changed_rate"}
    rest = [item for item in sheet.evidence if item.claim not in told]
    return _evidence_table(words.t("Measured of the data"), rest, sheet, words)


def _evidence_table(
    title: str, items: list[Evidence] | tuple[Evidence, ...], sheet: Datasheet, words: Words
) -> Markup | None:
    rows = []
    for item in items:
        part = ", ".join(f"{name} = {value}" for name, value in sorted(item.slice.items()))
        value = el("span", words.value(item.value, item.unit, item.claim), class_="num", **proof(item))
        title_of = el("span", words.title(item.claim, sheet.claims.get(item.claim)))
        named = el("span", title_of, el("code", item.claim, class_="claim"), class_="claimed")
        ends = words.t("exact") if item.exact else words.interval(item.low, item.high, item.unit, item.claim)
        rows.append([named, isolated(part, 80) if part else DASH, value, ends,
                     count(item.n), item.subject_step or DASH])  # fmt: skip
    heads = [title, words.t("Of"), "#" + words.t("Value"), words.t("95 % interval"), "#n", words.t("Step")]
    return table(heads, rows)


def _notes(sheet: Datasheet, words: Words) -> Markup | None:
    said = [el("li", el("b", run.step), " ", isolated(note, 300)) for run in sheet.steps for note in run.notes]
    return fold(words.t("What the steps said"), el("ul", *said, class_="notes")) if said else None
