"""The harness asks: tasks built from their files, nothing fetched, templates without reach, results row by row."""

from __future__ import annotations

import io
import logging
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.base.messages import t
from modelyard.errors import InputError, ModelyardError
from modelyard.methods.evaluation.harness.groups import WHOLE
from modelyard.methods.evaluation.harness.scoring import Figure, figure
from modelyard.methods.evaluation.harness.tasks import Code, TaskFile

OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_EVALUATE_OFFLINE")


@dataclass(frozen=True)
class Asking:
    """How tasks are asked.

    Attributes:
        shots: examples before each question; None: as the task says, else none.
        limit: questions of a task, its first; None: all.
        seed: of the choice of examples, and of what is drawn.
        chat: write questions out by the model's chat template.
        multiturn: in a chat, each example is a question and an answer of its own; else all stand in one message.
        system: message of the system before each question.
    """

    shots: int | None = None
    limit: int | None = None
    seed: int = 0
    chat: bool = False
    multiturn: bool = True
    system: str | None = None


@dataclass(frozen=True)
class Sample:
    """One question.

    Attributes:
        place: of the question in the task's split.
        filter: by which the answer was read; the harness judges a question once for each.
        said: what was written, or the log-likelihoods.
        values: metric to what the harness computed for this question.
    """

    task: str
    filter: str
    place: int
    question: str
    wanted: str
    said: tuple[Any, ...]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """A task's figures and questions; `shots` as they were asked."""

    name: str
    shots: int
    kind: str
    figures: tuple[Figure, ...]
    samples: tuple[Sample, ...]


def measure(task: TaskFile, model: Any, asking: Asking, cache: Path) -> Measured:
    """Ask a model (an `LM` of the harness) one task.

    Args:
        cache: where the harness' reader of data files may write.

    Raises:
        InputError: the task does not hold together: a template, a column, a filter.
    """
    with _alone(task.has_code, asking.seed):
        from lm_eval.evaluator import evaluate

        try:
            made = _built(task, asking, cache)
            found = evaluate(
                model, {"tasks": {task.name: made}}, limit=asking.limit, bootstrap_iters=0, log_samples=True,
                confirm_run_unsafe_code=task.has_code, system_instruction=asking.system,
                apply_chat_template=asking.chat, fewshot_as_multiturn=asking.chat and asking.multiturn,
            )  # fmt: skip
        except (ModelyardError, MemoryError):
            raise
        except Exception as error:  # a template or a metric fails as it likes
            told = " ".join(f"{type(error).__name__}: {error}".split())[:400]
            raise InputError(t("the task cannot be asked: {error}", error=told), where=str(task.path)) from None
        values = found["results"][task.name]
        samples = tuple(_samples(task.name, found["samples"][task.name]))
        combine = dict(made.aggregation())
    return Measured(
        name=task.name,
        shots=int(made.config.num_fewshot or 0),
        kind=str(made.OUTPUT_TYPE),
        figures=tuple(_figures(values, samples, combine, asking.seed)),
        samples=samples,
    )


def _built(task: TaskFile, asking: Asking, cache: Path) -> Any:
    from lm_eval.api.registry import filter_registry
    from lm_eval.api.task import ConfigurableTask

    config = _functions(dict(task.config))
    for key in ("tag", "task_list"):
        config.pop(key, None)
    named = {step.get("function") for one in config.get("filter_list") or [] for step in one.get("filter") or []}
    strange = sorted(str(name) for name in named if name not in set(filter_registry))
    if strange:
        raise InputError(
            t("unknown filter: `{name}`", name=strange[0]),
            where=f"{task.path}: filter_list",
            expected=", ".join(sorted(filter_registry)),
        )
    if "custom_dataset" not in config:
        config["dataset_kwargs"] = {**(config.get("dataset_kwargs") or {}), "cache_dir": str(cache)}
    made = ConfigurableTask(config=config)
    own = made.config.num_fewshot
    # A task that says 0 means it: its questions hold their examples already.
    made.set_config("num_fewshot", (own or 0) if asking.shots is None or own == 0 else asking.shots)
    made.set_fewshot_seed(asking.seed)
    return made


def _functions(value: Any) -> Any:
    """`Code` as the function it names; only tasks whose code may run hold any."""
    if isinstance(value, Code):
        from lm_eval.tasks._yaml_loader import _import_func_in_yml

        return _import_func_in_yml(value.name, value.folder)
    if isinstance(value, Mapping):
        return {key: _functions(one) for key, one in value.items()}
    return [_functions(one) for one in value] if isinstance(value, list) else value


def _samples(task: str, found: Sequence[Mapping[str, Any]]) -> Iterator[Sample]:
    for one in found:
        arguments = one["arguments"]
        yield Sample(
            task=task,
            filter=str(one["filter"]),
            place=int(one["doc_id"]),
            question=str(arguments[0][0]),
            wanted=str(one["target"]),
            said=tuple(one["filtered_resps"]),
            values={name: one[name] for name in one["metrics"]},
        )


def _figures(
    values: Mapping[str, Any], samples: Sequence[Sample], combine: Mapping[str, Any], seed: int
) -> Iterator[Figure]:
    for key, value in values.items():
        metric, comma, chosen = key.partition(",")
        if not comma or metric.endswith("_stderr") or not isinstance(value, int | float | np.number):
            continue
        rows = [one.values[metric] for one in samples if one.filter == chosen and metric in one.values]
        yield figure(metric, "" if chosen == WHOLE else chosen, float(value), rows, combine.get(metric), seed)


@contextmanager
def _alone(has_code: bool, seed: int) -> Iterator[None]:
    """No network, no output, templates in a sandbox, generators as they were afterwards."""
    states = random.getstate(), np.random.get_state()
    with ExitStack() as stack:
        stack.enter_context(_offline())
        import lm_eval.utils
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        stack.enter_context(redirect_stderr(io.StringIO()))
        stack.enter_context(redirect_stdout(io.StringIO()))
        logger = logging.getLogger("lm_eval")
        stack.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL)
        if not has_code:
            # The harness renders templates in an environment from which Python can be reached.
            before = lm_eval.utils.env
            stack.callback(setattr, lm_eval.utils, "env", before)
            sandbox = ImmutableSandboxedEnvironment(
                loader=before.loader, undefined=before.undefined, keep_trailing_newline=before.keep_trailing_newline
            )
            sandbox.filters.update(before.filters)
            lm_eval.utils.env = sandbox
        random.seed(seed)
        np.random.seed(seed % 2**32)
        stack.callback(random.setstate, states[0])
        stack.callback(np.random.set_state, states[1])
        yield


@contextmanager
def _offline() -> Iterator[None]:
    """The hub's libraries answer every wish to fetch with an error, also those that read their settings long ago."""
    before = {name: os.environ.get(name) for name in OFFLINE}
    os.environ.update(dict.fromkeys(OFFLINE, "1"))
    try:
        import datasets
        import huggingface_hub.constants as hub

        settings = [(hub, "HF_HUB_OFFLINE"), (datasets.config, "HF_HUB_OFFLINE")]
        told = [(where, name, getattr(where, name)) for where, name in settings if hasattr(where, name)]
        shown = datasets.is_progress_bar_enabled()
        for where, name, _ in told:
            setattr(where, name, True)
        datasets.disable_progress_bars()
        try:
            yield
        finally:
            for where, name, value in told:
                setattr(where, name, value)
            if shown:
                datasets.enable_progress_bars()
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
