"""Remove near duplicates: texts that share most of their shingles, images that look alike; one of a cluster stays.

Texts are compared by MinHash and banding, and every candidate pair by the exact Jaccard similarity of its shingles.
Where rows come split, a row of train near a row of validation or test goes, never the other. Every row removed is
kept in `removed` with the row it made way for and how alike the two are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS

if TYPE_CHECKING:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.duplicates.near import Outcome, Search


class Config(BaseModel):
    """Settings of data.deduplicate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    compare: Literal["auto", "text", "image"] = Field("auto", description="which column; `auto`: text if there is one")
    shingles: Literal["auto", "characters", "words"] = Field(
        "auto", description="what shingles are made of; `auto`: characters for scripts without spaces, else words"
    )
    size: int = Field(5, ge=1, le=20, description="characters or words in a shingle; shorter texts use what they have")
    threshold: float = Field(
        0.8, ge=0.3, le=1, description="Jaccard similarity from which two texts are near duplicates"
    )
    bands: Literal[16, 32, 64] = Field(16, description="bands of the search; each takes 4 bytes of memory a row")
    recall: float = Field(0.95, ge=0.5, le=0.9999, description="share of the pairs at the threshold that must be found")
    verify: bool = Field(True, description="compare the shingles of candidates; without, similar texts may go as well")
    image_hash: Literal["perceptual", "difference"] = Field("perceptual", description="kind of 64-bit hash of an image")
    image_distance: int = Field(4, ge=0, le=10, description="bits in which the hashes of two near images may differ")
    keep: Literal["best", "first", "longest"] = Field(
        "best", description="which row of a cluster stays; `best`: the longest, then one with a label, then the first"
    )
    linkage: Literal["chained", "direct"] = Field(
        "chained",
        description="`chained`: what hangs together through others is one cluster; `direct`: a row goes only if it is "
        "itself near the row that stays",
    )
    conflicts: Literal["drop", "keep", "majority"] = Field(
        "drop", description="clusters under several labels: drop all, pay no heed, or keep the label most rows have"
    )


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.duplicates.near import Choice, deduplicate

    data = Dataset.open(context.input("data"))
    done = [0, (3 if config.verify else 2) * data.num_rows("all")]

    def progress(num_rows: int) -> None:
        done[0] += num_rows
        context.progress(min(done[0], done[1]), done[1], "rows")

    search, threshold = _search(config, data, context, progress)
    choice = Choice(config.keep, config.linkage, config.conflicts)
    outcome, found = deduplicate(
        data, search, choice, threshold, context.output("data"), context.output("removed"), progress
    )
    _tell(outcome, found, config, context)
    _measure(outcome, context)


def _search(config: Config, data: Dataset, context: Context, progress: Any) -> tuple[Search, float]:
    """The way to find near rows, and the similarity from which rows are near."""
    from modelyard.base.messages import t
    from modelyard.methods.data.duplicates.near import usable_threads

    if config.compare == "image" or (config.compare == "auto" and not data.role("text") and data.role("image")):
        from modelyard.methods.data.duplicates.images import BITS, ImageSearch

        column = data.need("image")
        search = ImageSearch(data, column, config.image_hash, config.image_distance, usable_threads(), progress)
        return search, 1 - config.image_distance / BITS
    from modelyard.methods.data.duplicates.banding import choose
    from modelyard.methods.data.duplicates.texts import TextSearch, TextSettings

    banding = choose(config.threshold, config.bands, config.recall)
    context.say(
        t(
            "{bands} bands of {rows}: a pair of similarity {threshold:g} is found with probability {at:.3f}, "
            "one of {less:g} is compared with {below:.3f}",
            bands=banding.bands,
            rows=banding.rows,
            threshold=config.threshold,
            at=banding.probability(config.threshold),
            less=config.threshold / 2,
            below=banding.probability(config.threshold / 2),
        )
    )
    settings = TextSettings(config.shingles, config.size, config.threshold, banding, config.verify, context.seed)
    return TextSearch(
        data, data.need("text"), settings, context.scratch(), usable_threads(), progress
    ), config.threshold


def _tell(outcome: Outcome, found: Any, config: Config, context: Context) -> None:
    from modelyard.base.messages import t

    units = {
        "characters": t("shingles of characters"),
        "words": t("shingles of words"),
        "images": t("hashes of images"),
    }
    context.say(
        t(
            "by {unit}: {n:,} candidate pairs, {near:,} of them near; the largest cluster has {largest:,} rows",
            unit=units[found.unit],
            n=found.num_candidates,
            near=len(found.edges),
            largest=outcome.largest,
        )
    )
    if found.num_empty:
        context.say(t("{n:,} rows have nothing to compare and stay as they are", n=found.num_empty))
    if not config.verify and found.unit != "images":
        context.say(t("candidates were not verified: rows less alike than the threshold may be among the removed"))
    if outcome.num_chained:
        context.say(
            t(
                "{n:,} rows are near the row kept only through others, the least alike {lowest:.2f}; "
                "`linkage: direct` would keep them",
                n=outcome.num_chained,
                lowest=outcome.lowest,
            )
        )
    for (side, other), n in sorted(outcome.num_leaking.items()):
        context.say(t("{n:,} {split} rows are near a row of {other} and were removed", n=n, split=side, other=other))
    if outcome.num_conflicts:
        context.say(
            t(
                "{clusters:,} clusters of near duplicates stand under several labels, in {rows:,} rows",
                clusters=outcome.num_conflicts,
                rows=outcome.num_conflicting,
            )
        )
    if found.num_uncompared:
        context.say(t("about {n:,} pairs that share a band were too many to compare", n=found.num_uncompared))


def _measure(outcome: Outcome, context: Context) -> None:
    from modelyard.methods.data.duplicates.near import LEAK, REPEAT

    account = outcome.account
    account.tell(context)
    num_in = max(1, account.num_in)
    rates = {
        "data.near_duplicates_found_rate": account.removed[REPEAT] + account.removed[LEAK],
        "data.near_leaks_found_rate": account.removed[LEAK],
        "data.near_conflict_rate": outcome.num_conflicting,
    }
    for claim, count in rates.items():
        context.measure(claim, count / num_in, about="data", on="", n=account.num_in, interval="exact")
    num_kept = account.num_kept
    rate = outcome.num_left / max(1, num_kept)
    context.measure("data.near_duplicate_rate", rate, about="data", on="", n=num_kept, interval="exact")


def _share(name: str, description: str) -> Claim:
    return Claim(name, description, better="lower", subject="lineage", any_split=True)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("all",), description="texts or images, with labels or without")},
    outputs={
        "data": Port("dataset", ("all",), description="one row of each cluster"),
        "removed": Port("dataset", ("all",), side=True, description="the rows removed, with the row each is near to"),
    },
    claims=(
        *CLAIMS,
        _share("data.near_duplicate_rate", "share of the rows kept that are near another row kept, of all compared"),
        _share("data.near_duplicates_found_rate", "share of the rows in that were removed as near another"),
        _share("data.near_leaks_found_rate", "share of the rows in that were removed as near a row of another split"),
        _share("data.near_conflict_rate", "share of the rows in whose near duplicates stand under several labels"),
    ),
    libraries=("numpy", "pyarrow", "scipy", "pillow"),
)
