"""Repair texts and remove what does no good: empties, repeats, and texts that stand under several labels.

Repairs are fixed rules, and repairing twice changes nothing more. Every row that was removed or changed is kept in
`removed` with its reason, and `data.restore` can bring it back. Repeats across given splits are left to
data.split. Two texts are the same if they differ only in case, width, composition and white space.

The repairs travel: the data says how its texts were repaired, a model trained on it says so too, and repairs every text
it is asked about in the same way. Where a column marks places in the texts (spans), they are not repaired.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS


class Config(BaseModel):
    """Settings of data.clean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fix_encoding: bool = Field(True, description="undo text decoded in the wrong encoding (`schÃ¶n` for `schön`)")
    control: Literal["remove", "keep"] = Field("remove", description="control characters that are not white space")
    invisible: Literal["remove", "keep"] = Field(
        "remove", description="zero-width and direction characters where they mean nothing"
    )
    markup: Literal["keep", "strip"] = Field(
        "keep", description="HTML tags and entities, where a text has them; block elements become line ends"
    )
    markdown: Literal["keep", "strip"] = Field("keep", description="marks of Markdown; formulas and list marks stay")
    code: Literal["keep", "drop"] = Field("keep", description="code inside Markdown, when that is stripped")
    form: Literal["NFC", "NFKC", "none"] = Field("NFC", description="Unicode normalization form")
    width: Literal["keep", "full_to_half"] = Field(
        "keep", description="full-width letters, digits, signs and spaces to ASCII"
    )
    punctuation: Literal["keep", "half"] = Field(
        "keep", description="Chinese punctuation (`，！？：；（）～．`) when the width is changed"
    )
    script: Literal["keep", "simplified", "traditional"] = Field("keep", description="of Chinese characters")
    whitespace: Literal["collapse", "lines", "keep"] = Field(
        "collapse", description="runs of white space: `collapse` makes line ends spaces too, `lines` keeps lines"
    )
    in_model: bool = Field(
        True, description="models trained on the texts make the same repairs on the texts they are asked about"
    )
    empty: Literal["remove", "keep"] = Field("remove", description="rows without text after repair")
    duplicates: Literal["remove", "keep"] = Field("remove", description="rows that repeat a text; the first stays")
    conflicts: Literal["drop", "keep", "majority"] = Field(
        "drop", description="texts under several labels: drop all, keep all, or keep the label most of its rows have"
    )


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.cleaning import Cleaning, clean
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.repeats import DUPLICATE, EMPTY
    from modelyard.methods.text.repair import Repair

    cleaning = Cleaning(
        repair=Repair(
            encoding=config.fix_encoding,
            control=config.control == "remove",
            invisible=config.invisible == "remove",
            markdown=config.markdown == "strip",
            markup=config.markup == "strip",
            code=config.code,
            form=config.form,
            half_width=config.width == "full_to_half",
            punctuation=config.punctuation,
            script=None if config.script == "keep" else config.script,
            whitespace=config.whitespace,
        ),
        travels=config.in_model,
        drop_empty=config.empty == "remove",
        drop_duplicates=config.duplicates == "remove",
        conflicts=config.conflicts,
    )
    data = Dataset.open(context.input("data"))
    found = clean(
        data,
        cleaning,
        context.output("data"),
        context.output("removed"),
        lambda done, total: context.progress(done, total, "rows"),
    )
    account = found.account
    if not account.num_kept:
        raise InputError(
            t("no row is left of {n:,}", n=account.num_in),
            where="data.clean",
            remedy=t("look at the texts: are they empty, or each under several labels?"),
        )
    account.tell(context)
    if found.repairs:
        kinds = ", ".join(f"{t(kind)} {count:,}" for kind, count in found.repairs.most_common())
        context.say(t("repairs, of the rows kept: {kinds}", kinds=kinds))
    if found.marked:
        context.say(
            t("no text is repaired: `{column}` marks places in the texts, which repair would move", column=found.marked)
        )
    if found.num_conflicts:
        context.say(
            t(
                "{texts:,} texts stand under several labels, in {rows:,} rows",
                texts=found.num_conflicts,
                rows=found.num_conflicting,
            )
        )
    for split, n in sorted(found.also_in_train.items()):
        context.say(
            t(
                "{num:,} of {total:,} {split} rows, as the data comes, also stand in train; left for data.split",
                num=n,
                total=found.given[split],
                split=split,
            )
        )
    rates = {
        "data.duplicates_found_rate": found.num_removed(DUPLICATE),
        "data.conflict_rate": found.num_conflicting,
        "data.empty_rate": found.num_removed(EMPTY),
    }
    for claim, count in rates.items():
        context.measure(claim, count / account.num_in, about="data", on="", n=account.num_in, interval="exact")
    rate = found.num_repeated / account.num_kept
    context.measure("data.duplicate_rate", rate, about="data", on="", n=account.num_kept, interval="exact")


def _share(name: str, description: str) -> Claim:
    return Claim(name, description, better="lower", subject="lineage", any_split=True)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("all",), description="texts, with labels or without")},
    outputs={
        "data": Port("dataset", ("all",), description="the rows kept, repaired"),
        "removed": Port("dataset", ("all",), side=True, description="the rows removed or changed, with the reason"),
    },
    claims=(
        *CLAIMS,
        _share("data.duplicate_rate", "share of the rows kept that repeat the text of an earlier one"),
        _share("data.duplicates_found_rate", "share of the rows in that were removed as repeats"),
        _share("data.conflict_rate", "share of the rows in whose text also stands under another label"),
        _share("data.empty_rate", "share of the rows in that were removed as empty"),
    ),
    libraries=("pyarrow", "numpy", "ftfy", "markdown-it-py", "opencc"),
)
