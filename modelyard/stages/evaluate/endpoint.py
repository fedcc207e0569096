"""Asks somebody else's service about every test row, once, and keeps what it said as a model to compare with.

Does our model beat the API, and at what cost? The service is an OpenAI-compatible endpoint (`model: NAME`) or anything
that takes and gives JSON (`body`, `answer`). What it answered becomes a model folder of recorded answers, which
`evaluate.comparison`, `evaluate.quality` and others ask as any model: they name it (`in: {against: api}`). The evidence
is about these answers, not about what the service will say tomorrow. Stages that change records (robustness,
explanation) are refused: nobody asked about such records.

The rows leave this machine unless the service is on it: that needs `sends_data: true`. Answers are kept while the step
runs: one that was killed asks nothing twice. A row without a valid answer counts as answered wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.settings import ColumnName, Refresh, is_here, text_of
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.runtimes.asking.settings import Asked, Money

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.methods.runtimes.asking.forms import Form
    from modelyard.methods.runtimes.asking.predictor import EndpointPredictor
    from modelyard.methods.runtimes.recorded import Kept

ClassName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
Description = Annotated[str, Field(max_length=2_000)]
Task = Literal[
    "text-classification", "tabular-classification", "text-regression", "tabular-regression", "text-generation",
    "text-to-text",
]  # fmt: skip


class Config(Asked):
    """Settings of evaluate.endpoint."""

    task: Task = Field("text-classification", description="what is asked for; rows are read as for models of this task")
    model: str | None = Field(
        None, min_length=1, max_length=200, description="the model's name there; none: a service with `body`"
    )
    classes: dict[ClassName, Description] | list[ClassName] = Field(
        [], max_length=200, description="classification: the classes; with a description each if that helps"
    )
    instruction: str = Field("", max_length=20_000, description="what is asked, and by which rule")
    body: dict[ColumnName, Any] = Field(
        {},
        description="JSON of a request: `{text}`, `{record}` or `{column}` stand for the row; for a chat: more fields",
    )
    answer: str = Field("", max_length=500, description="path to the answer in the reply: `data.0.label`")
    scores: str = Field("", max_length=500, description="path to the probabilities by class, if there are any")
    names: dict[ClassName, ClassName] = Field({}, description="what the service calls a class, to its name here")
    wanted: ColumnName | None = Field(None, description="text generation: column of the answer that is wanted")
    price_record: Money = Field(0.0, description="of a record, where the service counts no tokens")
    max_unanswered: float = Field(
        0.05, ge=0, le=1, description="share of rows without a valid answer; more is an error"
    )
    refresh: Refresh = Field("never", description="when to ask anew: `never`, `always`, or after a time such as `30d`")

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if self.task.endswith("classification") != bool(self.classes):
            raise ValueError("`classes` are for classification, which needs them")
        if len(self.classes) == 1 or len(set(self.classes)) != len(self.classes):
            raise ValueError("`classes`: at least two, each once")
        if self.model is None and not (self.body and self.answer):
            raise ValueError("a service without `model` needs `body` and `answer`")
        return self

    @property
    def name(self) -> str:
        """As people know it."""
        return f"{self.model} ({self.host})" if self.model else self.host


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.endpoint.asking import Budget
    from modelyard.methods.evaluation import measuring
    from modelyard.methods.evaluation.measuring.classification import refuse_unknown
    from modelyard.methods.evaluation.measuring.examples import Examples
    from modelyard.methods.runtimes import recorded
    from modelyard.methods.runtimes.asking.predictor import EndpointPredictor, Service

    data = Dataset.open(context.input("data"))
    reader = measuring.find(config.task).reader(data, config.task, Measuring(answer=config.wanted))
    examples = Examples.read(data, "test", reader)
    if config.classes and config.task.endswith("classification"):
        refuse_unknown(examples.truths, list(config.classes))
    if not is_here(config.host):
        context.say(t("{n:,} test rows are sent to {host}", n=len(examples), host=config.host))
    if config.rate is not None:
        context.say(t("at most {rate:g} requests a second, as `requests_per_second` says", rate=config.rate))
    key = text_of(config.key, context.secret) if config.key else None
    service = Service(config.name, key, config.rate, config.workers, config.attempts, config.timeout_s)
    budget = Budget(config.max_requests, config.max_cost, config.price_in, config.price_out)
    kept_at = context.scratch() / "answers"
    with EndpointPredictor(_form(config, context.seed), service, config.task, list(config.classes), budget,
                           kept_at, context.say) as endpoint:  # fmt: skip
        kept = list(endpoint.ask(list(examples.records()), lambda done, all_: context.progress(done, all_, "rows")))
    _refuse(config, kept, endpoint)
    recorded.write(context.output("model"), _card(config, kept), kept)
    _measure(config, context, kept, endpoint)


def _form(config: Config, seed: int) -> Form:
    from modelyard.methods.data.endpoint.prompting import Question
    from modelyard.methods.runtimes.asking.forms import Chat, Template

    classes = dict(config.classes) if isinstance(config.classes, dict) else dict.fromkeys(config.classes, "")
    if config.model is None:
        return Template(config.endpoint, config.body, config.answer, config.task, tuple(classes), config.scores,
                        config.names)  # fmt: skip
    question = Question(config.instruction, classes) if classes else None
    return Chat(config.endpoint, config.model, config.task, question, config.instruction, config.max_answer_tokens,
                seed, config.body)  # fmt: skip


def _card(config: Config, kept: Sequence[Kept]) -> Any:
    from modelyard.methods.runtimes.model_folder import ModelCard
    from modelyard.methods.runtimes.recorded import FORMAT, NO_ANSWER

    labels = tuple(config.classes)
    if labels and any(one.answer is None for one in kept):
        labels = (*labels, NO_ANSWER)
    prices = {"in": config.price_in, "out": config.price_out, "record": config.price_record,
              "currency": config.currency}  # fmt: skip
    about = {"kind": FORMAT, "name": config.name, "prices": prices}
    return ModelCard(config.task, FORMAT, labels, {"kind": FORMAT}, network=about)


def _refuse(config: Config, kept: Sequence[Kept], endpoint: EndpointPredictor) -> None:
    """Too few answers are no comparison; a number that is missing cannot count as wrong."""
    from modelyard.errors import InputError

    missing = sum(one.answer is None for one in kept)
    most = 0.0 if config.task.endswith("regression") else config.max_unanswered
    if not kept or missing <= most * len(kept):
        return
    reasons = ", ".join(f"{t(reason)} ({count})" for reason, count in sorted(endpoint.reasons.items()))
    raise InputError(
        t("{missing} of {n} rows have no valid answer: {reasons}", missing=missing, n=len(kept),
          reasons=t("the budget was spent") if endpoint.spent else reasons or "-"),
        where=config.name,
        expected=t("at most {share:.0%}", share=most),
        remedy=t("raise `max_requests` or `max_cost`") if endpoint.spent else t("say what is wanted in `instruction`"),
    )  # fmt: skip


def _measure(config: Config, context: Context, kept: Sequence[Kept], endpoint: EndpointPredictor) -> None:
    missing, n, bill = sum(one.answer is None for one in kept), len(kept), endpoint.bill
    context.measure("endpoint.unanswered_rate", missing / n, about="model", on="data/test", n=n, interval="exact")
    context.say(
        t(
            "{requests:,} requests, {cached:,} answers were there already, {missing:,} rows without a valid answer",
            requests=bill.requests,
            cached=bill.cached,
            missing=missing,
        )
    )
    if bill.unknown and (config.price_in or config.price_out):
        context.say(t("the endpoint did not tell the tokens of {n:,} answers: the cost is not known", n=bill.unknown))
    elif config.price_in or config.price_out or config.price_record:
        tokens = bill.tokens_in * config.price_in + bill.tokens_out * config.price_out
        cost = tokens / 1e6 if config.price_in or config.price_out else n * config.price_record
        context.say(t("cost: {cost:.4f} {currency}", cost=cost, currency=config.currency))
        context.measure("endpoint.cost", cost, about="model", on="data/test", n=n, unit=config.currency,
                        interval="exact")  # fmt: skip


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("test",), description="the rows that are asked about")},
    outputs={"model": Port("model", side=True, description="what the endpoint answered, asked like a model")},
    claims=(
        Claim("endpoint.unanswered_rate", "share of the rows asked about that got no valid answer", better="lower"),
        Claim("endpoint.cost", "what the answers cost, by the prices in the settings", better="lower"),
    ),
    libraries=("pyarrow", "numpy"),
    refresh="refresh",
)
