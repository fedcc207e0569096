"""Harness tasks as files: which there are, what they hold, and why one may not be run.

A task is data: its YAML names columns, templates and metrics. What would run somebody's code (`!function`, a Python
class, `unsafe_code`) or fetch something (a data set of the hub, a metric of `evaluate`, prompts of a library) is found
here, before the harness sees the task. Light: a plan reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError, ModelyardError, Problem
from modelyard.methods.evaluation.harness import files as files_of

BUILDERS = ("json", "csv", "parquet", "text", "arrow")
"""What `dataset_path` may name: readers of local files."""
SPLITS = ("training_split", "validation_split", "test_split", "fewshot_split")
KINDS = ("multiple_choice", "loglikelihood", "loglikelihood_rolling", "generate_until")
GENERATED = "generate_until"
METRICS: Mapping[str, tuple[str, bool]] = {
    "acc": ("share of questions answered rightly by likelihood", True),
    "acc_norm": ("the same, likelihoods over the characters of the choices", True),
    "acc_bytes": ("the same, likelihoods over the bytes of the choices", True),
    "acc_mutual_info": ("the same, likelihoods less those of the choices alone", True),
    "exact_match": ("share of answers that are the wanted text", True),
    "perplexity": ("exp of minus the mean log-likelihood of a target", False),
    "word_perplexity": ("exp of minus the log-likelihood over the words", False),
    "byte_perplexity": ("exp of minus the log-likelihood over the bytes", False),
    "bits_per_byte": ("bits a byte of the texts needs", False),
    "f1": ("F1 of the class 1", True),
    "mcc": ("Matthews' correlation of answers and truths", True),
    "brier_score": ("mean squared error of the probabilities of the choices, summed over them", False),
    "bleu": ("BLEU of the corpus, 0 to 100", True),
    "chrf": ("chrF of the corpus, 0 to 100", True),
    "chrf++": ("chrF++ of the corpus, 0 to 100", True),
    "ter": ("translation error rate of the corpus", False),
}
"""The harness' metrics that a task may name: (description, whether higher is better)."""
OTHER = "other"
"""The claim of a metric that a task's own code makes."""
CODE_KEYS = ("class", "custom_dataset", "process_docs", "process_results")
"""Keys that hold nothing but code."""
SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Code:
    """`!function module.name` in a task.

    Attributes:
        folder: where the module is looked for: beside the file that names it.
    """

    name: str
    folder: Path


@dataclass(frozen=True)
class TaskFile:
    """A task that may be run.

    Attributes:
        config: as the harness takes it, data files as full paths; `Code` where the YAML names functions.
        files: everything it is made of.
        has_code: whether somebody's Python runs.
    """

    name: str
    path: Path
    config: Mapping[str, Any]
    files: tuple[Path, ...]
    has_code: bool = False


@dataclass(frozen=True)
class GroupFile:
    """A group of tasks: it holds no questions of its own."""

    path: Path
    config: Mapping[str, Any]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Found:
    """The tasks of some folders and files, and the groups that name them."""

    tasks: tuple[TaskFile, ...]
    groups: tuple[GroupFile, ...] = ()


def read(paths: Sequence[str], base: Path, allow_code: bool = False) -> Found:
    """The tasks at `paths`, relative to `base`.

    Raises:
        InputError: no task there, a file that is no task, one that wants code or the network, missing data.
    """
    tasks: list[TaskFile] = []
    groups: list[GroupFile] = []
    problems: list[Problem] = []
    for path in _files(paths, base):
        try:
            config, files = load(path)
        except InputError as error:
            problems += error.problems
            continue
        if "group" in config:
            groups.append(GroupFile(path, config, tuple(files)))
        elif "task" in config or "class" in config:
            try:
                tasks.append(_task(path, config, files, allow_code))
            except ModelyardError as error:
                problems += error.problems
    names = [one.name for one in tasks]
    problems += [
        Problem(str(one.path), t("two tasks are called `{name}`", name=one.name), t("a name of its own"))
        for place, one in enumerate(tasks)
        if one.name in names[:place]
    ]
    if problems:
        raise InputError.of(problems)
    if not tasks:
        raise InputError(
            t("there is no task"),
            where=", ".join(paths),
            expected=t("YAML files with the key `task`, of lm-evaluation-harness"),
        )
    return Found(tuple(tasks), tuple(groups))


def _files(paths: Sequence[str], base: Path) -> list[Path]:
    found: list[Path] = []
    for name in paths:
        path = files_of.named(base, name).resolve()
        if path.is_dir():
            found += [one for one in sorted(path.rglob("*")) if one.suffix in SUFFIXES and one.is_file()]
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(t("no such file or folder"), where=str(path), expected=t("harness tasks as YAML files"))
    return list(dict.fromkeys(found))


def load(path: Path, above: tuple[Path, ...] = ()) -> tuple[dict[str, Any], list[Path]]:
    """A YAML file with those it includes, as the harness merges them, and all their paths.

    Raises InputError if one cannot be read, is no mapping, or includes itself.
    """
    if path in above:
        raise InputError(t("the file includes itself"), where=str(path))
    own = _parsed(path)
    named = own.pop("include", [])
    merged: dict[str, Any] = {}
    files = [path]
    for name in named if isinstance(named, list) else [named]:
        config, more = load((path.parent / str(name)).resolve(), (*above, path))
        config.pop("task_list", None)
        merged |= config
        files += more
        if len(files) > files_of.MOST:
            raise InputError(t("files that include each other without end"), where=str(path))
    return merged | own, files


def _parsed(path: Path) -> dict[str, Any]:
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Plain YAML, and `!function` as what it names."""

    Loader.add_constructor("!function", lambda loader, node: Code(str(loader.construct_scalar(node)), path.parent))
    expected = t("a task of lm-evaluation-harness")
    try:
        value = yaml.load(files_of.content(path), Loader=Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError, TypeError) as error:
        raise InputError(t("not YAML: {error}", error=" ".join(str(error).split())[:300]), where=str(path)) from None
    except OSError as error:
        raise InputError(
            t("cannot be read: {error}", error=error.strerror), where=str(path), expected=expected
        ) from None
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InputError(t("the file holds no mapping"), where=str(path), expected=expected)
    if not files_of.is_bounded(value):
        raise InputError(t("aliases that unfold without end"), where=str(path), expected=expected)
    return value


def _task(path: Path, config: dict[str, Any], files: list[Path], allow_code: bool) -> TaskFile:
    where = str(path)
    code = sorted({key for key, value in config.items() if _holds_code(key, value)})
    problems = [] if allow_code else [_refused(where, key) for key in code]
    name = config.get("task")
    if not isinstance(name, str) or not name:
        problems.append(Problem(f"{where}: task", t("no name"), t("a text")))
    if "class" in config and allow_code:
        problems.append(Problem(f"{where}: class", t("a task that is a Python class"), t("a task in YAML")))
    problems += _network(where, config)
    data, missing = _data_files(path, config, "custom_dataset" in config)
    problems += missing
    problems += _shape(where, config, allow_code)
    if problems:
        raise InputError.of(problems)
    kwargs = {**(config.get("dataset_kwargs") or {}), "data_files": data}
    kwargs.pop("data_dir", None)
    made = {**config, "dataset_kwargs": kwargs} if data else dict(config)
    places = [Path(one) for some in data.values() for one in some]
    modules = sorted(path.parent.rglob("*.py")) if code else []
    return TaskFile(str(name), path, made, tuple(dict.fromkeys([*files, *places, *modules])), bool(code))


def _holds_code(key: str, value: Any) -> bool:
    if isinstance(value, Code):
        return True
    if isinstance(value, Mapping):
        return any(_holds_code("", one) for one in value.values())
    if isinstance(value, list):
        return any(_holds_code("", one) for one in value)
    return (key in CODE_KEYS and value is not None) or (key == "unsafe_code" and value is not False)


def _refused(where: str, key: str) -> Problem:
    return Problem(
        f"{where}: {key}",
        t("the task brings code, which would run with all you may do"),
        t("a task of YAML and data alone"),
        t("read that code; `allow_code: true` runs it"),
    )


def _network(where: str, config: Mapping[str, Any]) -> Iterator[Problem]:
    """What would fetch something."""
    path = config.get("dataset_path")
    if "custom_dataset" not in config and path not in BUILDERS:
        yield Problem(
            f"{where}: dataset_path",
            t("`{name}` would be fetched from a hub; nothing is downloaded", name=path),
            ", ".join(BUILDERS),
            t("save its rows as files and name them: `dataset_path: json`, `dataset_kwargs: {data_files: …}`"),
        )
    if config.get("use_prompt") is not None:
        yield Problem(
            f"{where}: use_prompt", t("prompts of a library would be fetched"), t("`doc_to_text` written out")
        )
    for metric in _metrics(config):
        if metric.get("hf_evaluate"):
            yield Problem(f"{where}: metric_list", t("`hf_evaluate` fetches code from a hub"), ", ".join(METRICS))


def _metrics(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = config.get("metric_list") or []
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _data_files(path: Path, config: Mapping[str, Any], own: bool) -> tuple[dict[str, list[str]], list[Problem]]:
    """Full paths of each split's files, and what is wrong with them. Relative to the task's own file."""
    where = f"{path}: dataset_kwargs.data_files"
    kwargs = config.get("dataset_kwargs") or {}
    named = kwargs.get("data_files") if isinstance(kwargs, Mapping) else None
    if own or config.get("dataset_path") not in BUILDERS:
        return {}, []
    if not named:
        return {}, [Problem(where, t("no data files are named"), "data_files: {test: questions.jsonl}")]
    folder = path.parent / str(kwargs.get("data_dir") or "")
    splits = named if isinstance(named, Mapping) else {"train": named}
    found: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for split, files in splits.items():
        found[str(split)] = []
        for name in files if isinstance(files, list) else [files]:
            there = files_of.matching(folder, str(name))
            if "://" in str(name):
                problems.append(Problem(where, t("`{name}` is not a local file; nothing is downloaded", name=name)))
            elif not there:
                problems.append(Problem(where, t("no file `{name}`", name=name), str(folder / str(name))))
            found[str(split)] += there
    problems += [
        Problem(f"{path}: {key}", t("no data files for the split `{split}`", split=config[key]), ", ".join(found))
        for key in SPLITS
        if config.get(key) and str(config[key]) not in found
    ]
    return found, problems


def _shape(where: str, config: Mapping[str, Any], allow_code: bool) -> Iterator[Problem]:
    if config.get("output_type", GENERATED) not in KINDS:
        yield Problem(f"{where}: output_type", t("unknown: `{name}`", name=config["output_type"]), ", ".join(KINDS))
    if not config.get("test_split") and not config.get("validation_split"):
        yield Problem(f"{where}: test_split", t("no split to measure on"), "test_split: test")
    if any(config.get(key) for key in ("doc_to_image", "doc_to_audio")):
        yield Problem(f"{where}: doc_to_image", t("the model reads texts only"))
    metrics = config.get("metric_list")
    if metrics is not None and (not isinstance(metrics, list) or len(_metrics(config)) < len(metrics)):
        yield Problem(f"{where}: metric_list", t("not a list of metrics"), "metric_list: [{metric: acc}]")
    for metric in _metrics(config):
        name = metric.get("metric")
        known = isinstance(name, str) and name in METRICS
        if not known and not (allow_code and (isinstance(name, Code) or "process_results" in config)):
            yield Problem(f"{where}: metric_list", t("unknown metric: `{name}`", name=name), ", ".join(METRICS))
