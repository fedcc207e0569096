"""Label rows by a language model behind an OpenAI-compatible endpoint, measured against people and by its cost.

Rows that people labelled keep their label; some of them are asked about too, and the agreement is measured on them.
Only an answer that is one of the classes counts, so a text cannot choose what lies outside; other answers, and rows
left when the budget was spent, go to `removed`. The texts leave this machine unless the endpoint is on it: that needs
`sends_data: true`. Answers are kept until the step is done: a run that was killed does not pay twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from modelyard.core.evidence import Claim
from modelyard.core.project import SecretName
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS
from modelyard.methods.data.settings import ColumnName, Refresh, is_here, text_of

if TYPE_CHECKING:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.endpoint.answering import Answer
    from modelyard.methods.data.endpoint.asking import Asker, Budget, Endpoint
    from modelyard.methods.data.endpoint.prompting import Question

ClassName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
Description = Annotated[str, Field(max_length=2_000)]
Money = Annotated[float, Field(ge=0, le=1e9)]


class Example(BaseModel):
    """A text with its class, shown to the model before every row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1, max_length=20_000, description="the text")
    label: ClassName = Field(description="its class")


class Config(BaseModel):
    """Settings of data.label_by_endpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str = Field(
        pattern=r"^https?://[^\s/@]+(/\S*)?$", max_length=500, description="the API's address: `https://host/v1`"
    )
    model: str = Field(min_length=1, max_length=200, description="the model's name there")
    key: SecretName | None = Field(None, description="`{secret: NAME}`: sent as bearer token")
    sends_data: bool = Field(False, description="the texts may leave this machine for the endpoint's host")
    classes: dict[ClassName, Description] | list[ClassName] = Field(
        min_length=2, max_length=200, description="the classes; with a description each: `{spam: unwanted offers}`"
    )
    instruction: str = Field(min_length=1, max_length=20_000, description="what is labelled, and by which rule")
    examples: list[Example] = Field([], max_length=50, description="texts with their class, shown before every row")
    unsure: bool = Field(False, description="the model may answer that no class fits; such rows go to `removed`")
    people: ColumnName | None = Field(
        None, description="column of labels by people, empty where there is none; by default the column with that role"
    )
    check: int = Field(200, ge=0, le=1_000_000, description="rows labelled by people, asked about to measure agreement")
    max_characters: int = Field(8_000, ge=10, le=1_000_000, description="of a text; more is cut off, and said")
    max_requests: int = Field(10_000, ge=1, le=100_000_000, description="at most; a row takes up to `attempts`")
    max_cost: Money | None = Field(None, description="money at most, by the prices; asks no further")
    price_in: Money = Field(0.0, description="of a million tokens that are sent")
    price_out: Money = Field(0.0, description="of a million tokens that are answered")
    currency: str = Field("USD", pattern="^[A-Z]{3}$", description="of the prices")
    requests_per_second: float = Field(5.0, ge=0.001, le=1_000, description="at most, in all")
    workers: int = Field(4, ge=1, le=64, description="requests under way at once")
    attempts: int = Field(2, ge=1, le=5, description="how often one row is asked, if the answer is none")
    max_answer_tokens: int = Field(256, ge=1, le=100_000, description="of one answer; models that think need more")
    timeout_s: float = Field(120.0, ge=1, le=3_600, description="seconds without a byte until a request is given up")
    body: dict[ColumnName, str | int | float | bool | None] = Field(
        {}, description="further fields of the request; null takes one out: `{seed: null}`"
    )
    refresh: Refresh = Field("never", description="when to ask anew: `never`, `always`, or after a time such as `30d`")

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: dict[str, str] | list[str]) -> dict[str, str] | list[str]:
        if len(set(classes)) != len(classes):
            raise ValueError("a class is named twice")
        if any(name.upper() == "UNSURE" for name in classes):
            raise ValueError("`unsure` is a setting, not a class: `unsure: true`")
        return classes

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        unknown = sorted({example.label for example in self.examples} - set(self.classes))
        if unknown:
            raise ValueError(f"an example's label is no class: {unknown[0]}")
        if self.max_cost is not None and not (self.price_in or self.price_out):
            raise ValueError("`max_cost` needs `price_in` and `price_out`")
        if not self.sends_data and not is_here(self.host):
            raise ValueError(f"the texts would leave this machine for {self.host}: say `sends_data: true` if they may")
        return self

    @property
    def host(self) -> str:
        """Where the texts go."""
        from urllib.parse import urlsplit

        return urlsplit(self.endpoint).hostname or ""

    @property
    def described(self) -> dict[str, str]:
        """Class to description."""
        return dict(self.classes) if isinstance(self.classes, dict) else dict.fromkeys(self.classes, "")


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.changes import ChangeLog
    from modelyard.methods.data.dataset import ROW_ID, Dataset
    from modelyard.methods.data.endpoint import judging, table
    from modelyard.methods.data.endpoint.asking import Asker, Budget

    data = Dataset.open(context.input("data"))
    text, column = data.need("text"), config.people or data.role("label")
    _known(data, config.people)
    columns = table.columns_of(data, column)
    ids, texts = data.column("all", ROW_ID), data.column("all", text)
    people = _people(data, column)
    if not is_here(config.host):
        context.say(t("the texts are sent to {host}", host=config.host))
    _say_odd(config, context, texts, people)
    places = judging.rows_to_ask(ids, people, list(config.described), config.check, context.seed)
    budget = Budget(config.max_requests, config.max_cost, config.price_in, config.price_out)
    kept = context.scratch() / "answers"
    with Asker(_endpoint(config, context), _question(config), budget, context.seed, kept, context.say) as asker:
        given = asker.ask([texts[place] for place in places], lambda done, total: context.progress(done, total, "rows"))
        answers = dict(zip(places, given, strict=True))
    with ChangeLog(context.output("removed")) as log:
        table.write(data, people, answers, columns, context.output("data"), log)
    if not log.account.num_kept:
        raise InputError(t("no row has a label"), where="data.label_by_endpoint", expected=log.account.line())
    log.account.tell(context)
    _measure(config, context, people, answers)
    _pay(config, context, asker, budget)


def _endpoint(config: Config, context: Context) -> Endpoint:
    from modelyard.methods.data.endpoint.asking import Endpoint

    return Endpoint(
        config.endpoint,
        config.model,
        text_of(config.key, context.secret) if config.key else None,
        config.requests_per_second,
        config.workers,
        config.attempts,
        config.max_answer_tokens,
        config.timeout_s,
        config.body,
    )


def _question(config: Config) -> Question:
    from modelyard.methods.data.endpoint.prompting import Question

    examples = [(example.text, example.label) for example in config.examples]
    return Question(config.instruction, config.described, examples, config.unsure, config.max_characters)


def _known(data: Dataset, column: str | None) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError

    names = [item.name for item in data.columns]
    if column is not None and column not in names:
        expected = t("one of: {names}", names=", ".join(names))
        raise InputError(t("no column `{name}`", name=column), where="people", expected=expected)


def _people(data: Dataset, column: str | None) -> list[str | None]:
    """The label that people gave each row, None where they gave none."""
    if column is None:
        return [None] * data.num_rows("all")
    return [str(value).strip() or None if value is not None else None for value in data.column("all", column)]


def _say_odd(config: Config, context: Context, texts: Sequence[str], people: Sequence[str | None]) -> None:
    from modelyard.base.messages import t

    long = sum(len(text) > config.max_characters for text in texts)
    if long:
        limit = config.max_characters
        context.say(t("{n:,} texts are cut at {limit:,} characters for the question", n=long, limit=limit))
    other = sum(label is not None and label not in config.described for label in people)
    if other:
        context.say(t("{n:,} rows have a label of people that is no class here; they keep it", n=other))


def _measure(config: Config, context: Context, people: Sequence[str | None], answers: dict[int, Answer | None]) -> None:
    from modelyard.base.messages import t
    from modelyard.methods.data.endpoint.judging import compare

    asked = {place: answer for place, answer in answers.items() if answer is not None}
    invalid = sum(answer.label is None for answer in asked.values())
    if asked:
        rate = invalid / len(asked)
        context.measure("data.endpoint_invalid_rate", rate, about="data", on="", n=len(asked), interval="exact")
    checked = [place for place in asked if people[place]]
    theirs, its = [people[place] or "" for place in checked], [asked[place] for place in checked]
    found = compare(theirs, its, list(config.described))
    if found is None:
        context.say(t("how far the endpoint agrees with people is not known: no row with a label of people was asked"))
        return
    context.say(
        t(
            "the endpoint agrees with people on {hits:,} of {n:,} rows: {share:.1%} [{low:.1%}, {high:.1%}], "
            "Cohen's kappa {kappa:.3f}",
            hits=found.hits,
            n=found.n,
            share=found.share,
            low=found.low,
            high=found.high,
            kappa=found.kappa,
        )
    )
    ends = (found.low, found.high)
    context.measure("data.endpoint_agreement", found.share, about="data", on="", n=found.n, interval=ends)
    if found.kappa == found.kappa:  # not-a-number with one class only
        ends = (found.kappa_low, found.kappa_high)
        context.measure("data.endpoint_kappa", found.kappa, about="data", on="", n=found.n, interval=ends)


def _pay(config: Config, context: Context, asker: Asker, budget: Budget) -> None:
    from modelyard.base.messages import t

    bill = asker.bill
    if asker.spent:
        context.say(t("the budget was spent before all rows were asked about"))
    models = ", ".join(f"{name or '?'} ({n:,})" for name, n in bill.models.most_common())
    context.say(
        t(
            "{requests:,} requests, {tokens_in:,} tokens sent, {tokens_out:,} answered; model: {models}",
            requests=bill.requests,
            tokens_in=bill.tokens_in,
            tokens_out=bill.tokens_out,
            models=models or "-",
        )
    )
    if bill.unknown:
        context.say(t("the endpoint did not tell the tokens of {n:,} answers: the cost is not known", n=bill.unknown))
    elif config.price_in or config.price_out:
        cost = bill.cost(budget)
        context.say(t("cost: {cost:.4f} {currency}", cost=cost, currency=config.currency))
        n = max(1, bill.requests)
        context.measure("data.endpoint_cost", cost, about="data", on="", n=n, unit=config.currency, interval="exact")


def _claim(name: str, description: str, better: Literal["higher", "lower"] = "higher") -> Claim:
    return Claim(name, description, better=better, subject="lineage", any_split=True)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("all",), description="texts, some of them labelled by people")},
    outputs={
        "data": Port("dataset", ("all",), description="rows with a label, and who gave it in `label_by`"),
        "removed": Port("dataset", ("all",), side=True, description="rows without a label, and every label given"),
    },
    claims=(
        *CLAIMS,
        _claim("data.endpoint_agreement", "share of rows labelled by people on which the endpoint says the same"),
        _claim("data.endpoint_kappa", "Cohen's kappa of the endpoint and people"),
        _claim("data.endpoint_invalid_rate", "share of the rows asked about that got no valid answer", "lower"),
        _claim("data.endpoint_cost", "what the answers cost, by the prices in the settings", "lower"),
    ),
    libraries=("pyarrow", "numpy"),
    refresh="refresh",
)
