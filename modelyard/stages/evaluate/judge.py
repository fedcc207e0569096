"""Lets a judge, a language model behind an endpoint, choose between two answers to each test row.

One answer is the model's; the other is another model's (`in: {against: …}`: a release, a recorded API), or, without
one, the answer that is wanted in the data. The judge sees each pair twice, the second time the other way round: what it
says only in one order counts as a draw, and how often it says the same is measured (`judge.consistency`). A judge is
no truth: with a column of people's verdicts (`people`: `model`, `against` or `tie`) its agreement with them is
measured, and a gate can ask for it.

Requests and answers leave this machine unless the judge is on it: that needs `sends_data: true`. Verdicts are kept
while the step runs: one that was killed asks nothing twice. Rows without two valid verdicts are counted, not judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.data.settings import ColumnName, Refresh, is_here, text_of
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.runtimes.asking.settings import Asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.methods.evaluation.comparing.judging import Share, Verdict
    from modelyard.methods.evaluation.measuring.examples import Examples
    from modelyard.methods.runtimes.asking.predictor import EndpointPredictor

TASKS = ("text-generation", "text-to-text")


class Config(Asked):
    """Settings of evaluate.judge."""

    model: str = Field(min_length=1, max_length=200, description="the judge's name at the endpoint")
    instruction: str = Field("", max_length=20_000, description="by which rule it judges; none: correct and helpful")
    people: ColumnName | None = Field(
        None, description="column of people's verdicts: `model`, `against`, `tie`; empty where nobody judged"
    )
    wanted: ColumnName | None = Field(None, description="column of the wanted answer, if there is no other model")
    max_unjudged: float = Field(
        0.1, ge=0, le=1, description="share of rows without two valid verdicts; more is an error"
    )
    batch_rows: int = Field(64, ge=1, le=8192, description="rows given to the models at a time (rows)")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")
    refresh: Refresh = Field("never", description="when to ask anew: `never`, `always`, or after a time such as `30d`")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation import measuring
    from modelyard.methods.evaluation.comparing import judging
    from modelyard.methods.evaluation.measuring.examples import Examples
    from modelyard.methods.runtimes.asking.forms import told
    from modelyard.methods.runtimes.model_folder import ModelCard

    data, task = Dataset.open(context.input("data")), ModelCard.read(context.input("model")).task
    _refuse_task(task)
    reader = measuring.find(task).reader(data, task, Measuring(answer=config.wanted))
    examples = Examples.read(data, "test", reader)
    ours, others = _answers(config, context, examples, "model"), _others(config, context, examples)
    requests = [told(record) for record in examples.records()]
    pairs = list(zip(requests, ours, others, strict=True))
    texts = [judging.shown(ask, one, two) for ask, one, two in pairs]
    texts += [judging.shown(ask, two, one) for ask, one, two in pairs]
    verdicts = _judged(config, context, texts)
    people = [_label(value) for value in examples.column(config.people)] if config.people else []
    _measure(context, verdicts, people)
    _write(context, examples, verdicts, bool(people))


def _refuse_task(task: str) -> None:
    from modelyard.errors import InputError

    if task not in TASKS:
        raise InputError(t("a judge compares written answers; the model's task is {task}", task=task), where="model",
                         expected=", ".join(TASKS))  # fmt: skip


def _answers(config: Config, context: Context, examples: Examples, port: str) -> list[str]:
    from modelyard.methods.evaluation.measuring.examples import asked
    from modelyard.methods.evaluation.opening import opened

    def note(done: int, total: int) -> None:
        context.progress(done, total, "rows")

    with opened(context.input(port), config.threads) as predictor:
        _refuse_task(predictor.task)
        return [str(one.text) for one in asked(predictor, examples, config.batch_rows, note)]


def _others(config: Config, context: Context, examples: Examples) -> list[str]:
    from modelyard.errors import InputError

    if context.bound("against"):
        return _answers(config, context, examples, "against")
    if any(truth.answer is None for truth in examples.truths):
        raise InputError(
            t("there is nothing to judge the model against"),
            expected=t("another model (`in: {{against: …}}`), or a column of wanted answers"),
        )
    return [str(truth.answer) for truth in examples.truths]


def _label(value: Any) -> str | None:
    return None if value is None else str(value).strip() or None


def _judged(config: Config, context: Context, texts: Sequence[str]) -> list[Verdict]:
    """What the judge says: the first half of the texts in one order, the second in the other."""
    from modelyard.methods.data.endpoint.asking import Budget
    from modelyard.methods.data.endpoint.prompting import Question
    from modelyard.methods.evaluation.comparing import judging
    from modelyard.methods.runtimes.asking.forms import Chat
    from modelyard.methods.runtimes.asking.predictor import EndpointPredictor, Service

    if not is_here(config.host):
        context.say(t("{n:,} answers are sent to {host}", n=len(texts), host=config.host))
    name = f"{config.model} ({config.host})"
    key = text_of(config.key, context.secret) if config.key else None
    service = Service(name, key, config.rate, config.workers, config.attempts, config.timeout_s)
    budget = Budget(config.max_requests, config.max_cost, config.price_in, config.price_out)
    question = Question(config.instruction or judging.INSTRUCTION, judging.PLACES, max_characters=100_000)
    form = Chat(config.endpoint, config.model, "text-classification", question, "", config.max_answer_tokens,
                context.seed)  # fmt: skip
    with EndpointPredictor(form, service, "text-classification", list(judging.PLACES), budget,
                           context.scratch() / "verdicts", context.say) as judge:  # fmt: skip
        kept = list(
            judge.ask([{"text": text} for text in texts], lambda done, n: context.progress(done, n, "verdicts"))
        )
    said = [str(one.answer["label"]) if one.answer else None for one in kept]
    half = len(said) // 2
    found = [judging.Verdict(one, two) for one, two in zip(said[:half], said[half:], strict=True)]
    _refuse_unjudged(config, found, judge, name)
    return found


def _refuse_unjudged(config: Config, verdicts: Sequence[Verdict], judge: EndpointPredictor, name: str) -> None:
    from modelyard.errors import InputError

    missing = sum(not one.judged for one in verdicts)
    if missing > config.max_unjudged * len(verdicts) or missing == len(verdicts):
        reasons = ", ".join(f"{t(reason)} ({count})" for reason, count in sorted(judge.reasons.items()))
        raise InputError(
            t("{missing} of {n} rows have no two valid verdicts: {reasons}", missing=missing, n=len(verdicts),
              reasons=t("the budget was spent") if judge.spent else reasons or "-"),
            where=name,
            expected=t("at most {share:.0%}", share=config.max_unjudged),
        )  # fmt: skip


def _measure(context: Context, verdicts: Sequence[Verdict], people: Sequence[str | None]) -> None:
    from modelyard.methods.evaluation.comparing import judging

    against = "against" if context.bound("against") else None

    def note(name: str, share: Share) -> None:
        context.measure(f"judge.{name}", share.value, about="model", on="data/test", n=share.n,
                        interval=share.interval, against=against)  # fmt: skip

    wins, steady = judging.win_rate(verdicts), judging.consistency(verdicts)
    note("win_rate", wins)
    note("consistency", steady)
    missing = sum(not one.judged for one in verdicts)
    context.measure("judge.unjudged_rate", missing / len(verdicts), about="model", on="data/test", n=len(verdicts),
                    interval="exact", against=against)  # fmt: skip
    words = "the model wins {wins:.1%}, draws counted half; the judge says the same in both orders of {steady:.1%}"
    context.say(t(words, wins=wins.value, steady=steady.value))
    if not people:
        context.say(t("nobody knows whether this judge is right: name a column of people's verdicts (`people`)"))
        return
    agreed, kappa = judging.agreement(verdicts, people), judging.kappa(verdicts, people)
    if not agreed.n:
        context.say(t("no row has both a person's verdict and the judge's"))
        return
    note("agreement", agreed)
    if kappa.value == kappa.value:
        note("kappa", kappa)
    context.say(t("the judge agrees with people on {share:.1%} of {n} rows", share=agreed.value, n=agreed.n))


def _write(context: Context, examples: Examples, verdicts: Sequence[Verdict], people: bool) -> None:
    from modelyard.methods.evaluation import blocks

    claims = ("judge.win_rate", "judge.consistency", "judge.unjudged_rate")
    drawn: list[blocks.Block] = [
        blocks.Text("The judge saw each pair of answers in both orders; what it said in one order only is a draw."),
        blocks.Figures("What the judge prefers", claims, slices=False),
    ]
    drawn += (
        [blocks.Figures("The judge beside people", ("judge.agreement", "judge.kappa"), slices=False)]
        if people
        else [blocks.Text("Nobody has checked this judge: no person's verdict was given.")]
    )
    said = [{"row_id": row, "winner": one.winner, **vars(one)} for row, one in
            zip(examples.row_ids, verdicts, strict=True)]  # fmt: skip
    blocks.write(context.output("report"), "judge", "A judge of written answers", drawn, {"verdicts": said})


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model whose answers are judged"),
        "against": Port("model", side=True, optional=True, description="the other; none: the wanted answers"),
        "data": Port("dataset", ("test",), description="the rows both answer"),
    },
    outputs={"report": Port("report", description="judge.json: verdicts by row")},
    claims=(
        Claim("judge.win_rate", "share of rows whose answer the judge prefers to the other's, draws counted half"),
        Claim("judge.consistency", "share of rows the judge says the same of when the answers change places"),
        Claim("judge.unjudged_rate", "share of rows without two valid verdicts", better="lower"),
        Claim("judge.agreement", "share of rows judged by people of which the judge says what they say"),
        Claim("judge.kappa", "Cohen's kappa of the judge and people"),
    ),
    libraries=("numpy", "scipy", "pyarrow", "tokenizers", "torch", "transformers"),
    loads=MODEL_CODE,
    refresh="refresh",
)
