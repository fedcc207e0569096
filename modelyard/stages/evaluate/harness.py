"""Asks a language model tasks written for lm-evaluation-harness, from local files; needs `modelyard[harness]`.

`tasks` names YAML files of that project, or folders of them, whose data are local files (`dataset_path: json`,
`dataset_kwargs: {data_files: …}`, relative to the YAML). The harness builds the questions, the model that ships answers
through its own predictor: likelihoods of choices and texts, and what it writes. Nothing is downloaded: a task that
wants a hub, and one that brings code, is refused before anything runs; `allow_code` runs such code.

Figures are claims `harness.METRIC` with the slice `task` (and `filter`, where answers are read by one), each with the
number of questions and a 95 % interval from their values. A rule:
`{claim: harness.acc, slice: {task: NAME}, min: 0.5}`. A group among the files (`group:` with `aggregate_metric_list`)
has figures of all its tasks, with the slice `group`.
The side output `samples` is a data set with a row for each question.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.evaluation.harness.tasks import METRICS, OTHER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.base.canonical import Json
    from modelyard.methods.evaluation.blocks import Block
    from modelyard.methods.evaluation.harness.groups import Grouped
    from modelyard.methods.evaluation.harness.running import Measured

TaskPath = Annotated[str, Field(min_length=1, max_length=1000)]
SHOWN = 200
TASKS = ("text-generation",)


def claim_of(metric: str) -> str:
    """`harness.chrf_2` of `chrf++`; metrics of a task's own code share `harness.other`."""
    name = {"chrf++": "chrf_2"}.get(metric, metric)
    return f"harness.{name if metric in METRICS else OTHER}"


class Config(BaseModel):
    """Settings of evaluate.harness."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: TaskPath | Annotated[list[TaskPath], Field(min_length=1, max_length=200)] = Field(
        description="YAML files of harness tasks, or folders of them, relative to the project"
    )
    shots: int | None = Field(
        None, ge=0, le=100, description="examples before each question; none: as the task says (rows)"
    )
    limit: int | None = Field(None, ge=1, le=10_000_000, description="questions of a task at most, its first (rows)")
    chat_template: bool = Field(
        False, description="questions are written out as chats, by the model's own template (`apply_chat_template`)"
    )
    system: str | None = Field(
        None, min_length=1, max_length=20_000, description="message of the system before each question"
    )
    multiturn: bool = Field(
        True, description="in a chat each example is a question and an answer; off: all stand in one message"
    )
    allow_code: bool = Field(
        False, description="run Python that tasks bring (`!function`, `unsafe_code`): it may do all you may do"
    )
    batch_rows: int = Field(64, ge=1, le=8192, description="requests given to the model at a time (rows)")
    examples: int = Field(20, ge=0, le=200, description="questions of a task kept in the report (rows)")
    texts: bool = Field(True, description="show questions and answers in the report; off keeps only their places")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")


def run(config: Config, context: Context) -> None:
    from modelyard.errors import InputError
    from modelyard.methods.evaluation import blocks
    from modelyard.methods.evaluation.harness import groups, running, tasks
    from modelyard.methods.evaluation.harness.lm import Chats, PredictorLM
    from modelyard.methods.evaluation.opening import opened

    found = tasks.read(_paths(config), context.base, config.allow_code)
    together, without = groups.resolve(found.groups, found.tasks)
    for name, reason in without:
        context.say(t("the group `{name}` has no figure: {reason}", name=name, reason=reason))
    asking = running.Asking(
        config.shots, config.limit, context.seed, config.chat_template, config.multiturn, config.system
    )
    chats = Chats(Path(context.input("model"))) if config.chat_template else None
    measured: list[Measured] = []

    def note(done: int, total: int) -> None:
        context.progress(done, total, "rows")

    with opened(context.input("model"), config.threads) as predictor:
        if predictor.task not in TASKS:
            raise InputError(t("harness tasks are for models that write"), where="model", expected=", ".join(TASKS))
        model = PredictorLM(predictor, config.batch_rows, context.seed, note, chats)
        for task in found.tasks:
            if task.has_code:
                context.say(t("task `{name}` runs code of its own", name=task.name))
            one = running.measure(task, model, asking, context.scratch() / "datasets")
            if config.shots is not None and one.shots != config.shots:
                context.say(t("task `{name}` says {count} examples itself; that holds", name=one.name, count=one.shots))
            _measure(context, one)
            measured.append(one)
    by_name = {one.name: one for one in measured}
    grouped = [groups.combine(one, by_name) for one in together]
    for group in grouped:
        _measure_group(context, group)
    blocks.write(context.output("report"), "harness", "Harness tasks", _shown(config, measured, grouped))
    _write_samples(context.output("samples"), measured)


def _paths(config: Config) -> list[str]:
    return [config.tasks] if isinstance(config.tasks, str) else list(config.tasks)


def _measure(context: Context, measured: Measured) -> None:
    for one in measured.figures:
        part = {"task": measured.name} | ({"filter": one.filter} if one.filter else {})
        claim = claim_of(one.metric)
        if claim == f"harness.{OTHER}":
            part["metric"] = one.metric
        context.measure(claim, one.value, about="model", on="", n=one.n, interval=one.interval, slice=part)
        context.say(
            t("{task}: {metric} {value} of {n} questions, {shots} examples before each", task=measured.name,
              metric=one.metric, value=f"{one.value:.4f}", n=one.n, shots=measured.shots)
        )  # fmt: skip


def _measure_group(context: Context, group: Grouped) -> None:
    for one in group.figures:
        part = {"group": group.name} | ({"filter": one.filter} if one.filter else {})
        claim = claim_of(one.metric)
        if claim == f"harness.{OTHER}":
            part["metric"] = one.metric
        context.measure(claim, one.value, about="model", on="", n=one.n, interval=one.interval, slice=part)
        context.say(
            t("group {group}: {metric} {value} of {n} questions in {tasks} tasks", group=group.name, metric=one.metric,
              value=f"{one.value:.4f}", n=one.n, tasks=group.num_tasks)
        )  # fmt: skip


def _shown(config: Config, measured: Sequence[Measured], grouped: Sequence[Grouped]) -> list[Block]:
    from modelyard.methods.evaluation.blocks import Figures, Table

    claims = tuple(dict.fromkeys(claim_of(figure.metric) for one in measured for figure in one.figures))
    rows = tuple((one.name, one.kind, one.shots, len({each.place for each in one.samples})) for one in measured)
    found: list[Block] = [
        Figures("Harness tasks", claims),
        Table("Tasks", ("task", "kind", "examples before each question", "questions"), rows),
    ]
    if grouped:
        of_groups = tuple(
            (one.name, one.num_tasks, figure.metric, figure.filter, figure.n)
            for one in grouped
            for figure in one.figures
        )
        found.append(Table("Groups", ("group", "tasks", "metric", "filter", "questions"), of_groups))
    kept = [sample for one in measured for sample in one.samples[: config.examples]]
    if config.texts and kept:
        lines = tuple(
            (each.task, _short(each.question), _short(each.wanted), _short(_said(each.said))) for each in kept
        )
        found.append(Table("Questions", ("task", "question", "wanted", "said"), lines))
    return found


def _said(said: Sequence[Any]) -> str:
    """What was written, or each likelihood."""
    return "  ".join(f"{one[0]:.3f}" if isinstance(one, tuple | list) else str(one) for one in said)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else "…" + text[1 - SHOWN :]


def _write_samples(folder: Path, measured: Sequence[Measured]) -> None:
    import json

    import pyarrow as pa

    from modelyard.methods.data.dataset import Column, write_schema, write_split

    names = ("row_id", "task", "filter", "question", "wanted", "said", "values")
    columns = [Column(name, "text" if name == "question" else "other", "string") for name in names]
    schema = pa.schema([(name, pa.string()) for name in names])
    rows = [
        {
            "row_id": f"{one.task}/{one.place}" + (f"/{one.filter}" if one.filter != "none" else ""),
            "task": one.task,
            "filter": one.filter,
            "question": one.question,
            "wanted": one.wanted,
            "said": json.dumps(one.said, ensure_ascii=False, default=str),
            "values": json.dumps(dict(one.values), ensure_ascii=False, sort_keys=True, default=float),
        }
        for task in measured
        for one in task.samples
    ]
    write_schema(folder, columns)
    write_split(folder, "all", [pa.Table.from_pylist(rows, schema)], schema)


def fingerprint(config: Config, base: Path) -> Json:
    """Digests of the tasks' files, of their data, and of code beside them."""
    from modelyard.base.canonical import digest_file
    from modelyard.methods.evaluation.harness import tasks

    found = tasks.read(_paths(config), base, config.allow_code)
    named = [(one.name, one.files) for one in found.tasks]
    named += [(str(one.config["group"]), one.files) for one in found.groups]
    return [[name, [[path.name, digest_file(path)] for path in files]] for name, files in named]


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"model": Port("model", description="the language model that is asked")},
    outputs={
        "report": Port("report", description="harness.json"),
        "samples": Port("dataset", ("all",), side=True, description="a row for each question of each task"),
    },
    claims=(
        *(
            Claim(
                claim_of(name), f"{text}; by task, as lm-evaluation-harness defines it",
                better="higher" if higher else "lower",
                sizing="rate" if name in ("acc", "acc_norm", "acc_bytes", "exact_match") else None, any_split=True,
            )
            for name, (text, higher) in METRICS.items()
        ),
        Claim(f"harness.{OTHER}", "a metric that a task's own code computes; by task and metric", better="none",
              any_split=True),
    ),
    libraries=("lm_eval", "datasets", "jinja2", "numpy", "torch", "transformers", "tokenizers", "pyarrow", "pyyaml"),
    loads=MODEL_CODE,
    extra="harness",
    external=("tasks",),
    fingerprint=fingerprint,
)  # fmt: skip
