"""What the words of licences say about use, and where the statements of sources contradict each other.

It reads words, it gives no legal advice: a flag asks a person to look, no flag is no permission.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from modelyard.methods.reporting.datasheet.source import Source
from modelyard.methods.reporting.marks import mark

NON_COMMERCIAL = re.compile(
    r"(?:^|[^a-z])nc(?:$|[^a-z])|non-?\s?commercial|academic|research[ -](?:use|only|purposes?)|for research"
    r"|非商|学术|研究使用|仅限研究|仅供研究",
    re.I,
)
NO_DERIVATIVES = re.compile(r"(?:^|[^a-z])nd(?:$|[^a-z])|no-?\s?deriv|禁止演绎", re.I)
SHARE_ALIKE = re.compile(
    r"(?:^|[^a-z])sa(?:$|[^a-z])|share-?\s?alike|(?:^|[^a-z])[al]?gpl|odbl|copyleft|相同方式共享", re.I
)
UNCLEAR = re.compile(r"^\s*(?:unknown|none|n/?a|other|proprietary|various|tbd|\?+|未知|不明|无)\s*$", re.I)
COMMERCIAL = re.compile(r"commerc|product|customer|sale|商业|商用|产品|客户", re.I)
PERSONAL = ("consent", "contract", "legal_obligation", "vital_interests", "public_interest", "legitimate_interests")


@dataclass(frozen=True)
class Conflict:
    """Something a person should look at before the data is used.

    Attributes:
        kind: `non_commercial`, `no_derivatives`, `share_alike`, `licences`, `unclear_licence`, `basis`, `retention`.
        text: a template of the catalogue, filled with `values`.
    """

    kind: str
    text: str
    values: dict[str, str] = field(default_factory=dict)


def stated(licence: str) -> bool:
    """Whether a licence says anything: "unknown" is none."""
    return bool(licence.strip()) and not UNCLEAR.match(licence)


def conflicts(sources: Sequence[Source], people: bool, uses: str) -> list[Conflict]:
    """What does not fit together.

    Args:
        people: the rows are about people (a subject column, or personal data that was found).
        uses: what the owner says the data is for.
    """
    found = [conflict for source in sources for conflict in (*_licence(source, uses), *_basis(source, people))]
    return [*found, *_together(sources)]


def _licence(source: Source, uses: str) -> Iterator[Conflict]:
    licence = source.licence
    values = {"source": source.step, "licence": licence}
    if licence and not stated(licence):
        yield Conflict(
            "unclear_licence", mark("{source}: “{licence}” is no licence: nothing is permitted by it"), values
        )
    if NON_COMMERCIAL.search(licence):
        wanted = COMMERCIAL.search(f"{source.purpose} {uses}")
        stronger = mark("{source}: {licence} forbids commercial use, and the stated purpose or use is commercial")
        plain = mark("{source}: {licence} forbids commercial use; a model made from it may be bound by that too")
        yield Conflict("non_commercial", stronger if wanted else plain, values)
    if NO_DERIVATIVES.search(licence):
        text = mark("{source}: {licence} forbids passing on changed copies; cleaning made a changed copy")
        yield Conflict("no_derivatives", text, values)


def _basis(source: Source, people: bool) -> Iterator[Conflict]:
    values = {"source": source.step, "basis": source.consent}
    if people and source.consent == "not_personal":
        text = mark(
            "{source}: stated as not personal, but the data has a subject column or personal data was found in it"
        )
        yield Conflict("basis", text, values)
    if source.consent in PERSONAL and not source.retention:
        text = mark("{source}: used on the basis “{basis}”, but how long it may be kept is not stated")
        yield Conflict("retention", text, values)
    if source.consent in PERSONAL and not source.purpose:
        yield Conflict(
            "basis", mark("{source}: used on the basis “{basis}”, but for which purpose is not stated"), values
        )


def _together(sources: Sequence[Source]) -> Iterator[Conflict]:
    """Share-alike asks that the whole stands under the same licence: two that do clash, and one beside a narrower."""
    alike = [source for source in sources if SHARE_ALIKE.search(source.licence)]
    for source in alike:
        for other in sources:
            both = {source.licence.lower(), other.licence.lower()}
            narrower = NON_COMMERCIAL.search(other.licence) or NO_DERIVATIVES.search(other.licence)
            rival = other in alike and source.step < other.step
            if len(both) == 2 and (narrower or rival):
                yield Conflict(
                    "licences",
                    mark("{source} ({licence}) and {other} ({second}) ask for different terms of the joined data"),
                    {"source": source.step, "licence": source.licence, "other": other.step, "second": other.licence},
                )
