"""Asks a model that writes the questions of a bank, and measures what it refuses, answers and says.

A bank is a file of the user's (CSV, JSONL, JSON, Excel) with a question, a category and what is expected: `refuse`,
`answer`, `contains`, `not_contains`, `regex` or `choice` (with a value). Injection, jailbreak and toxicity suites are
such banks; so is one in the manner of TC260-003, with the columns 类别, 问题, 应拒答. Refusals are found by phrases,
the user's and built-in ones; with `judge`, a model behind an OpenAI-compatible endpoint decides, with `in: {judge: …}`
a text classifier of yours (a step or `model.release`), and its agreement with the phrases is measured. `in:
{toxicity: …}` names a classifier that says which answers are toxic.

The report is `safety.json`; `answers.jsonl` keeps every answer with its row.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.project import SecretName
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.data.settings import is_here, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.base.canonical import Json
    from modelyard.methods.data.sources import Source
    from modelyard.methods.evaluation.safety.bank import Question

FilePath = Annotated[str, Field(min_length=1, max_length=1000)]
Phrase = Annotated[str, Field(min_length=1, max_length=200)]


class Judge(BaseModel):
    """A model behind an endpoint that says whether an answer refuses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str = Field(
        pattern=r"^https?://[^\s/@]+(/\S*)?$", max_length=500, description="the API's address: `https://host/v1`"
    )
    model: str = Field(min_length=1, max_length=200, description="the model's name there")
    key: SecretName | None = Field(None, description="`{secret: NAME}`: sent as bearer token")
    sends_data: bool = Field(False, description="questions and answers may leave this machine for the endpoint's host")
    max_requests: int = Field(10_000, ge=1, le=10_000_000, description="at most")

    @model_validator(mode="after")
    def _allowed(self) -> Judge:
        from urllib.parse import urlsplit

        host = urlsplit(self.endpoint).hostname or ""
        if not self.sends_data and not is_here(host):
            raise ValueError(f"the answers would leave this machine for {host}: say `sends_data: true` if they may")
        return self


class Config(BaseModel):
    """Settings of evaluate.safety."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bank: FilePath | Annotated[list[FilePath], Field(min_length=1, max_length=100)] = Field(
        description="files of questions, relative to the project; `*` stands for any name"
    )
    refusals: tuple[Phrase, ...] = Field((), max_length=1000, description="phrases of refusal beside the built-in ones")
    toxic_words: FilePath | None = Field(None, description="file of words that no answer may hold, one a line")
    judge: Judge | None = Field(None, description="an endpoint's model that says whether an answer refuses")
    refused_labels: tuple[Phrase, ...] = Field(
        (), max_length=100, description="labels of the classifier `judge` that mean a refusal; none: those so named"
    )
    toxic_labels: tuple[Phrase, ...] = Field(
        (),
        max_length=100,
        description="labels of the classifier `toxicity` that mean a toxic answer; none: those so named",
    )
    max_new_tokens: int = Field(256, ge=1, le=100_000, description="of an answer (tokens)")
    batch_rows: int = Field(64, ge=1, le=8192, description="questions given to the model at a time (rows)")
    examples: int = Field(30, ge=0, le=200, description="answers against expectation kept in the report (rows)")
    texts: bool = Field(True, description="show questions and answers in the report; off keeps only their places")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")


def run(config: Config, context: Context) -> None:
    from modelyard.base.canonical import canonical_json
    from modelyard.errors import InputError
    from modelyard.methods.evaluation.safety import bank, classifying, judging

    found = bank.read(_sources(config.bank, context.base))
    for reason, count in found.bad.most_common():
        context.say(t("{n} rows of the bank were left out: {reason}", n=count, reason=t(reason)))
    words = _words(config, context.base)
    answers = _answers(config, context, found.questions)
    judged = judging.judge(found.questions, answers, config.refusals, words)
    if config.judge and context.bound("judge"):
        raise InputError(t("two judges are named: an endpoint and a classifier"), where="judge", remedy=t("name one"))
    if config.judge:
        judged = _counted(context, judged, _told_by_endpoint(config.judge, context, judged))
    elif context.bound("judge"):
        judged = _counted(context, judged, _told_by_classifier(config, context, judged))
    if context.bound("toxicity"):
        named = config.toxic_labels, classifying.TOXIC, "toxic_labels"
        judged = judging.toxic(judged, _verdicts(config, context, "toxicity", answers, named))
    for rate in judging.rates(judged, bool(words)):
        context.measure(
            f"safety.{rate.name}", rate.hits / rate.n, about="model", on="", n=rate.n, interval=rate.interval,
            slice=rate.slice,
        )  # fmt: skip
        if not rate.slice:
            context.say(t("{name}: {hits} of {n}", name=t(rate.name), hits=rate.hits, n=rate.n))
    report = context.output("report")
    lines = b"".join(canonical_json(one.to_json()) + b"\n" for one in judged)
    (report / "answers.jsonl").write_bytes(lines)
    judging.write(report, judged, config.examples, config.texts, sum(found.bad.values()))


def _answers(config: Config, context: Context, questions: Sequence[Question]) -> list[str]:
    from modelyard.errors import InputError
    from modelyard.methods.evaluation.opening import opened

    found: list[str] = []
    with opened(context.input("model"), config.threads) as predictor:
        if predictor.task not in ("text-generation", "text-to-text"):
            raise InputError(
                t("a bank of questions is for models that write"), where="model", expected="text-generation"
            )
        for start in range(0, len(questions), config.batch_rows):
            part = questions[start : start + config.batch_rows]
            records: list[dict[str, Any]] = [{"text": one.prompt} for one in part]
            if predictor.task == "text-generation":
                records = [{**one, "max_new_tokens": config.max_new_tokens, "temperature": 0} for one in records]
            found += [one.text for one in predictor.predict(records)]
            context.progress(len(found), len(questions), "rows")
    return found


def _told_by_endpoint(judge: Judge, context: Context, judged: list[Any]) -> list[str | None]:
    from modelyard.methods.data.endpoint.asking import Asker, Budget, Endpoint
    from modelyard.methods.evaluation.safety import judging

    key = text_of(judge.key, context.secret) if judge.key else None
    endpoint, budget = Endpoint(judge.endpoint, judge.model, key), Budget(judge.max_requests)
    with Asker(endpoint, judging.question(), budget, context.seed, context.scratch() / "judge", context.say) as asker:
        texts = [judging.shown_to_judge(one) for one in judged]
        told = list(asker.ask(texts, lambda done, total: context.progress(done, total, "rows")))
    return [answer.label if answer is not None else None for answer in told]


def _told_by_classifier(config: Config, context: Context, judged: list[Any]) -> list[str | None]:
    from modelyard.methods.evaluation.safety import classifying, judging

    named = config.refused_labels, classifying.REFUSING, "refused_labels"
    told = _verdicts(config, context, "judge", [one.answer for one in judged], named)
    return [None if one is None else judging.REFUSED if one else judging.ANSWERED for one in told]


def _verdicts(config: Config, context: Context, port: str, answers: list[str], named: Any) -> list[bool | None]:
    from modelyard.methods.evaluation.opening import opened
    from modelyard.methods.evaluation.safety import classifying

    with opened(context.input(port), config.threads) as classifier:
        labels = classifying.meant(classifier, *named)

        def note(done: int, total: int) -> None:
            context.progress(done, total, "rows")

        return classifying.verdicts(classifier, answers, labels, config.batch_rows, note)


def _counted(context: Context, judged: list[Any], labels: list[str | None]) -> list[Any]:
    """The judge's word where it spoke, and how far the phrases agree."""
    from modelyard.methods.evaluation.safety import judging
    from modelyard.methods.statistics.wilson import wilson

    hits, n = judging.agreement(judged, labels)
    silent = len(judged) - n
    if silent:
        context.say(t("the judge did not decide about {n} answers; there the phrases count", n=silent))
    if n:
        context.measure("safety.judge_agreement", hits / n, about="model", on="", n=n, interval=wilson(hits, n))
    return judging.decided(judged, labels)


def _words(config: Config, base: Path) -> list[str]:
    if config.toxic_words is None:
        return []
    sources = _sources(config.toxic_words, base)
    lines = [line for source in sources for line in source.path.read_text(encoding="utf-8-sig").splitlines()]
    return sorted({line.strip() for line in lines if line.strip() and not line.startswith("#")})


def _sources(paths: str | list[str], base: Path) -> list[Source]:
    from modelyard.methods.data.sources import resolve

    return resolve(paths, base)


def fingerprint(config: Config, base: Path) -> Json:
    """Digests of the bank's files and of the list of words."""
    named = [config.bank, *([config.toxic_words] if config.toxic_words else [])]
    return [[[source.name, source.digest] for source in _sources(paths, base)] for paths in named]


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model that writes"),
        "judge": Port("model", optional=True, side=True, description="a text classifier: does an answer refuse?"),
        "toxicity": Port("model", optional=True, side=True, description="a text classifier: is an answer toxic?"),
    },
    outputs={"report": Port("report", description="safety.json and answers.jsonl")},
    claims=(
        Claim(
            "safety.refusal_rate", "share of the questions to be refused that were; by category", sizing="rate",
            any_split=True,
        ),
        Claim(
            "safety.over_refusal_rate", "share of the questions to be answered that were refused; by category",
            better="lower", sizing="rate", any_split=True,
        ),
        Claim(
            "safety.pass_rate", "share of all questions where the answer did what was expected; by category",
            sizing="rate", any_split=True,
        ),
        Claim(
            "safety.toxic_rate", "share of the answers that hold a word of the list; by category", better="lower",
            sizing="rate", any_split=True,
        ),
        Claim(
            "safety.toxic_by_model_rate", "share of the answers that the classifier named calls toxic; by category",
            better="lower", sizing="rate", any_split=True,
        ),
        Claim(
            "safety.judge_agreement", "share of the answers where judge and phrases agree on refusal", sizing="rate",
            any_split=True,
        ),
    ),
    libraries=("pyarrow", "tokenizers", "torch", "transformers", "python-calamine", "charset-normalizer"),
    loads=MODEL_CODE,
    external=("bank", "toxic_words"),
    fingerprint=fingerprint,
)  # fmt: skip
