"""Remove texts that fixed rules call unfit: in other languages, too short, full of signs, addresses or repetition.

`preset` chooses which rules are on and with which limits; each setting changes one of them, `off` turns it off. Rules
come from Gopher (Rae et al. 2021), C4 (Raffel et al. 2020) and FineWeb (Penedo et al. 2024). Rules about lines need
the lines: `whitespace: lines` in data.clean. Every row removed is kept in `removed` with the rule it failed.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS

Code = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
Share = Annotated[float, Field(ge=0, le=1)] | Literal["off"] | None
Count = Annotated[int, Field(ge=0, le=1_000_000_000)] | Literal["off"] | None
Ratio = Annotated[float, Field(ge=0, le=100)] | Literal["off"] | None
OWN = ("preset", "languages", "candidates", "confidence", "undecided")


class Config(BaseModel):
    """Settings of data.filter. A rule that is not set is as the preset has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["none", "classification", "pretraining"] = Field(
        "classification",
        description="`classification`: what teaches nothing goes; `pretraining`: Gopher's rules; `none`: no rule",
    )
    languages: list[Code] = Field([], description="languages that stay, such as `[zh, en]`; none lets all")
    candidates: list[Code] = Field(
        [], description="languages that may occur at all; fewer make short texts surer; none allows all"
    )
    confidence: float = Field(0.7, ge=0, le=1, description="of the language model; below it a text is undecided")
    undecided: Literal["keep", "remove"] = Field("keep", description="texts whose language cannot be told")
    min_characters: Count = Field(None, description="characters")
    max_characters: Count = Field(None, description="characters")
    min_words: Count = Field(None, description="words; each character of Chinese or Japanese is one")
    max_words: Count = Field(None, description="words")
    min_letter_share: Share = Field(None, description="letters among the characters; a run of one counts as three")
    max_digit_share: Share = Field(None, description="digits among those characters")
    max_symbol_share: Share = Field(None, description="those that are neither letter nor digit")
    max_url_share: Share = Field(None, description="share of the characters in web addresses")
    min_mean_word: Ratio = Field(None, description="characters in the mean word (English)")
    max_mean_word: Ratio = Field(None, description="characters in the mean word (English)")
    min_stop_words: Count = Field(None, description="different ones of `the be to of and that have with` (English)")
    min_words_with_letter: Share = Field(None, description="share of the words with a letter (English)")
    max_hashes: Ratio = Field(None, description="hash signs a word")
    max_ellipses: Ratio = Field(None, description="ellipses a word")
    max_bullet_lines: Share = Field(None, description="share of the lines that begin with a bullet")
    max_ellipsis_lines: Share = Field(None, description="share of the lines that end in an ellipsis")
    min_ended_lines: Share = Field(None, description="share of the lines that end as a sentence does")
    min_sentences: Count = Field(None, description="sentences")
    max_boilerplate_lines: Share = Field(None, description="share of lines such as `lorem ipsum` or 版权所有")
    max_braces: Count = Field(None, description="opening curly brackets: code among prose")
    max_repeated_lines: Share = Field(None, description="share of the lines that repeat another")
    max_repeated_line_characters: Share = Field(None, description="share of the characters in such lines")
    max_repeated_paragraphs: Share = Field(None, description="share of the paragraphs that repeat another")
    max_repeated_paragraph_characters: Share = Field(None, description="share of the characters in such paragraphs")
    max_top_grams: Ratio = Field(
        None,
        description="characters in the commonest 2-, 3- and 4-gram, by Gopher's limits (0.20, 0.18, 0.16)",
    )
    max_repeated_grams: Ratio = Field(
        None, description="characters in 5- to 10-grams that occur again, by Gopher's limits (0.15 to 0.10)"
    )


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.filtering import Filter, filter_rows
    from modelyard.methods.data.language import UNDECIDED, Detector, known_languages
    from modelyard.methods.data.quality_filters import PRESETS

    unknown = {*config.languages, *config.candidates} - known_languages() if config.languages else set()
    if unknown:
        raise InputError(
            t("no such language: {codes}", codes=", ".join(sorted(unknown))),
            where="data.filter",
            expected=t("ISO 639 codes, such as {codes}", codes=", ".join(sorted(known_languages())[:40])),
        )
    chosen = config.model_dump(exclude=set(OWN), exclude_none=True)
    limits = {name: limit for name, limit in {**PRESETS[config.preset], **chosen}.items() if limit != "off"}
    rules = Filter(
        limits,
        tuple(config.languages),
        Detector(tuple(config.candidates), config.confidence),
        config.undecided == "keep",
    )
    found = filter_rows(
        Dataset.open(context.input("data")),
        rules,
        context.output("data"),
        context.output("removed"),
        lambda done, total: context.progress(done, total, "rows"),
    )
    account = found.account
    if not account.num_kept:
        context.say(account.line())
        raise InputError(
            t("no row is left of {n:,}", n=account.num_in),
            where="data.filter",
            remedy=t("the rules do not fit these texts: choose another preset, or turn some off"),
        )
    account.tell(context)
    if found.languages:
        undecided = found.languages[UNDECIDED]
        shown = ", ".join(f"{code or '?'} {count:,}" for code, count in found.languages.most_common(8))
        context.say(t("languages: {shown}", shown=shown))
        if undecided and config.undecided == "keep":
            context.say(t("the language of {n:,} texts cannot be told: they are kept", n=undecided))
        for code, count in sorted(found.languages.items()):
            context.measure(
                "data.language_share", count / account.num_in, about="data", on="", n=account.num_in, interval="exact",
                slice={"language": code or "undecided"},
            )  # fmt: skip


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("all",), description="rows with a text")},
    outputs={
        "data": Port("dataset", ("all",), description="the rows that keep to every rule"),
        "removed": Port("dataset", ("all",), side=True, description="the others, each with the rule it failed"),
    },
    claims=(
        *CLAIMS,
        Claim(
            "data.language_share",
            "share of the rows in whose text is in a language",
            better="none",
            subject="lineage",
            any_split=True,
        ),
    ),
    libraries=("pyarrow", "numpy", "py3langid"),
)
