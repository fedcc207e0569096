"""The seven parts of a datasheet as questions and answers, in one language: what the page and the Markdown share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelyard.methods.reporting.datasheet.facts import Account, Datasheet
from modelyard.methods.reporting.datasheet.source import SOURCE_FIELDS, Source
from modelyard.methods.reporting.marks import mark
from modelyard.methods.reporting.words import Words, count

FIELDS = {
    "source": mark("Made by, got from"),
    "licence": mark("Licence"),
    "consent": mark("Legal basis"),
    "purpose": mark("Purpose"),
    "retention": mark("May be kept for"),
    "collected": mark("Collected"),
    "contact": mark("Contact"),
}
BASES = {
    "consent": mark("consent"),
    "contract": mark("contract"),
    "legal_obligation": mark("legal obligation"),
    "vital_interests": mark("vital interests"),
    "public_interest": mark("public interest"),
    "legitimate_interests": mark("legitimate interests"),
    "not_personal": mark("not personal data"),
}


@dataclass(frozen=True)
class Answer:
    """A question of the datasheet; an empty answer is one that nobody gave. `owner`: a person's words."""

    question: str
    answer: str
    owner: bool = True


@dataclass(frozen=True)
class Part:
    """One of the seven parts."""

    name: str
    title: str
    answers: tuple[Answer, ...]


def parts(sheet: Datasheet, words: Words) -> list[Part]:
    """All parts, in Gebru's order."""
    owner, t = sheet.owner, words.t
    return [
        Part("motivation", t("Motivation"), (
            Answer(t("For what purpose was the data set created?"), owner.motivation),
            Answer(t("Who created it, and who paid for it?"), owner.creators),
        )),
        Part("composition", t("Composition"), (
            Answer(t("What do the rows represent?"), owner.composition),
            Answer(t("How many rows are there, with which columns?"), _size(sheet, words), owner=False),
            Answer(t("Is any value missing from rows?"), _missing(sheet, words), owner=False),
            Answer(t("Are there recommended splits?"), _splits(sheet, words), owner=False),
        )),
        Part("collection", t("Collection"), (
            Answer(t("How was the data collected?"), owner.collection),
            Answer(t("When, by whom, on which legal basis?"), _sources(sheet, words), owner=False),
        )),
        Part("preprocessing", t("Preprocessing, cleaning, labelling"), (
            Answer(t("What was done to the rows?"), _accounts(sheet, words), owner=False),
            Answer(
                t("Was the raw data kept?"),
                t("Removed and changed rows are kept beside each step, with the reason."),
                owner=False,
            ),
        )),
        Part("uses", t("Uses"), (
            Answer(t("What is it for?"), owner.uses),
            Answer(t("What must it not be used for?"), owner.not_for),
        )),
        Part("distribution", t("Distribution"), (
            Answer(t("How is it passed on, and under which licence?"), owner.distribution),
            Answer(t("Which licences do the sources have?"), _licences(sheet, words), owner=False),
        )),
        Part("maintenance", t("Maintenance"), (
            Answer(t("Who maintains it, and how are errors mended?"), owner.maintenance),
            Answer(t("Whom to ask?"), owner.contact),
            Answer(t("How long may it be kept?"), _retention(sheet, words), owner=False),
        )),
    ]  # fmt: skip


def field_text(source: Source, name: str, words: Words) -> str:
    """A stated field for people; empty if it was not stated."""
    value = str(getattr(source, name))
    return words.t(BASES[value]) if name == "consent" and value in BASES else value


def account_line(account: Account, words: Words) -> str:
    """`clean: 5,574 rows in = 5,158 kept + 416 removed (repeat 416)`."""
    return words.t(
        "{step}: {came} rows in + {added} added = {kept} kept + {removed} removed{reasons}; {changed} of them changed",
        step=account.step,
        came=count(account.num_in),
        added=count(account.num_added),
        kept=count(account.num_kept),
        removed=count(account.num_removed),
        reasons=reasons(account, words),
        changed=count(account.num_changed),
    )


def reasons(account: Account, words: Words) -> str:
    if not account.removed:
        return ""
    return " (" + ", ".join(f"{words.t(name)} {count(rows)}" for name, rows in account.removed.items()) + ")"


def limits(sheet: Datasheet, words: Words) -> Iterator[str]:
    """What is missing or does not fit together: for the head of the page."""
    if not sheet.sources:
        yield words.t("Where the rows came from is not known.")
    for source in sheet.sources:
        missing = [words.t(FIELDS[name]) for name in SOURCE_FIELDS if name in source.missing()]
        if missing:
            yield words.t("{source}: not stated: {fields}", source=source.step, fields=words.t(", ").join(missing))
    for conflict in sheet.conflicts:
        yield words.t(conflict.text, **{**conflict.values, **_basis_word(conflict.values, words)})


def _basis_word(values: dict[str, str], words: Words) -> dict[str, str]:
    basis = values.get("basis", "")
    return {"basis": words.t(BASES[basis])} if basis in BASES else {}


def _size(sheet: Datasheet, words: Words) -> str:
    columns = [f"{item['name']} ({item['role']}, {item['type']})" for item in sheet.figures.get("columns", ())]
    shown = ", ".join(columns[:20]) + (", …" if len(columns) > 20 else "")
    return words.t(
        "{rows} rows; {num} columns: {columns}", rows=count(sheet.figures["rows"]), num=len(columns), columns=shown
    )


def _missing(sheet: Datasheet, words: Words) -> str:
    found = [item for item in sheet.figures.get("columns", ()) if item["missing"]]
    if not found:
        return words.t("No value is missing.")
    return ", ".join(
        f"{item['name']} {count(item['missing'])} ({item['missing'] / item['rows']:.1%})" for item in found
    )


def _splits(sheet: Datasheet, words: Words) -> str:
    if not sheet.splits or set(sheet.splits) == {"all"}:
        return words.t("It is not split here.")
    return ", ".join(f"{words.split(name)} {count(rows)}" for name, rows in sheet.splits.items())


def _sources(sheet: Datasheet, words: Words) -> str:
    told = []
    for source in sheet.sources:
        said = [f"{words.t(FIELDS[name])}: {text}" for name in ("source", "collected", "consent", "purpose")
                if (text := field_text(source, name, words))]  # fmt: skip
        told.append(f"{source.step}: " + ("; ".join(said) or words.t("not stated")))
    return "\n".join(told)


def _accounts(sheet: Datasheet, words: Words) -> str:
    return "\n".join(account_line(account, words) for account in sheet.accounts) or words.t("Nothing was removed.")


def _licences(sheet: Datasheet, words: Words) -> str:
    return "\n".join(f"{one.step}: {one.licence or words.t('not stated')}" for one in sheet.sources)


def _retention(sheet: Datasheet, words: Words) -> str:
    told = [f"{one.step}: {one.retention or words.t('not stated')}" for one in sheet.sources]
    days = sheet.retention_days_min
    if days is not None and len(sheet.sources) > 1:
        told.append(words.t("shortest: {days} days", days=f"{days:g}"))
    return "\n".join(told)
