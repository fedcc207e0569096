"""The small project behind `modelyard evaluate`: a model, rows, and a step for each family."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.app.evaluation_columns import Subject, subject, taken
from modelyard.base.messages import did_you_mean, t
from modelyard.engine.bound import BoundProject
from modelyard.engine.openings import CUT_TO
from modelyard.errors import Problem, ProjectError, UsageError

if TYPE_CHECKING:
    from modelyard.store import Store

MODEL, AGAINST, DATA, SPLIT, TRAINED = "model", "against", "rows", "split", "trained"
ALL = "all"
COMPARISON = "comparison"
FAMILY = "evaluate."
NOT_ALONE = ("endpoint", "forgetting", "transferability", "validation")
"""Families that need more than one model and its test rows."""
ASKING_MORE = ("attacks", "checklist", "explanation", "robustness")
"""Families that ask about records of their own: an endpoint answered for the test rows alone."""
LEARNED = ("membership", "memorization")
"""Families that compare test rows with training rows."""
CUT = "cut-"
SHARE, LEAST = 8, 5
"""A family that is cut looks at an eighth of its rows, and at five if it has them."""


@dataclass(frozen=True)
class Asked:
    """What is to be measured.

    Attributes:
        value: the project with its models, rows and families, as they are in a project file.
        families: those that can be measured, as steps of `value`.
        left_out: under `all`, those that cannot, and why.
        cuts: of families that a short time cuts: the settings, whole and cut.
        told: which columns of a file were taken.
    """

    value: Mapping[str, Any]
    families: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    cuts: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    told: str = ""

    def bound(self, folder: Path, sets: Sequence[str], cut: Sequence[str] = (), whole: Sequence[str] | None = None,
              as_steps: bool = False) -> BoundProject:  # fmt: skip
        """The project, checked.

        Args:
            cut: families that are cut.
            whole: families that are not; None: all.
            as_steps: cut families stand beside the whole ones, under names of their own.
        """
        steps = dict(self.value["steps"])
        kept = [name for name in self.families if whole is None or name in whole]
        chosen = {name: steps[name] for name in kept}
        for name in cut:
            smaller = {setting: to for setting, (_, to) in self.cuts[name].items()}
            step = {**steps[name], "with": {**steps[name]["with"], **smaller}}
            chosen[f"{CUT}{name}" if as_steps else name] = step
        rest = {name: step for name, step in steps.items() if name not in self.families}
        if not any(AGAINST in step["in"] for step in chosen.values()):
            rest.pop(AGAINST, None)
        if not any("train" in step["in"] for step in chosen.values()):
            rest.pop(TRAINED, None)
        gone = tuple(f"steps.{name}." for name in (*self.families, *(() if AGAINST in rest else (AGAINST,))))
        mine = [one for one in sets if not one.startswith(gone)]  # those of families are in their steps by now
        found, problems = _load({**self.value, "steps": {**rest, **chosen}}, folder, mine)
        if found is None:
            raise ProjectError.of(problems)
        return found


def families() -> tuple[str, ...]:
    """Every family that can be asked for."""
    from modelyard.engine.catalog import names

    found = [name.removeprefix(FAMILY) for name in names() if name.startswith(FAMILY)]
    return tuple(name for name in found if name not in NOT_ALONE)


def ask(
    model: str | Path,
    wanted: Sequence[str],
    against: str | Path | None,
    data: str | Path | None,
    roles: Mapping[str, str | None],
    folder: Path,
    sets: Sequence[str],
    store: Store,
) -> Asked:
    """What is to be measured. `all` stands for every family that needs no setting it was not given.

    Raises:
        UsageError: no such family, no rows, or a family that an endpoint cannot be measured with.
        InputError: rows with labels that the model does not know.
        ProjectError: settings that do not fit.
    """
    every = ALL in wanted
    named = [name for name in wanted if name != ALL]
    if every:
        named += [name for name in families() if name != COMPARISON]
    if against is not None:
        named.append(COMPARISON)
    names = tuple(dict.fromkeys(named))
    _refuse_unknown(names, against is not None)
    subjects = {MODEL: subject(model, store)}
    if against is not None:
        subjects[AGAINST] = subject(against, store)
    value, told = _project(model, data, roles, subjects)
    steps, left_out, cuts = {}, {}, {}
    for name in names:
        refused = _unsuited(name, subjects[MODEL].kind, data is not None)
        if refused and (not every or name in wanted):
            raise refused
        if refused:
            left_out[name] = _reason(refused.problems[0])
            continue
        body = _measuring(name, value["steps"], data is not None)
        found, problems = _alone(value, name, body, names, folder, sets)
        if found is None:
            if not every or name in wanted or any(f"steps.{name}" not in one.where for one in problems):
                raise ProjectError.of(problems)
            left_out[name] = "; ".join(dict.fromkeys(_reason(one) for one in problems))
            continue
        steps[name] = {**body, "with": {**body["with"], **found.step(name).step.settings}}
        if smaller := _smaller(found.step(name).config):
            cuts[name] = smaller
    value["steps"] |= steps
    return Asked(value, tuple(steps), left_out, cuts, told)


def _unsuited(name: str, kind: str, file: bool) -> UsageError | None:
    """Why a family cannot measure such a model, or on a file of rows; None if it can."""
    if kind == "endpoint" and name in ASKING_MORE:
        return UsageError(
            t("`{name}` asks about other records, and an endpoint is asked about the test rows alone", name=name),
            remedy=t("measure the release or the model folder itself"),
        )
    if file and name in LEARNED:
        return UsageError(
            t("`{name}` compares with training rows, of which a file of test rows has none", name=name),
            remedy=t("leave `--data` out: a release knows its rows"),
        )
    return None


def _reason(problem: Problem) -> str:
    return f"{problem.found} ({problem.expected})" if problem.expected else problem.found


def _smaller(config: Any) -> dict[str, tuple[int, int]]:
    """Settings of rows, whole and cut, of those that can be."""
    found = {}
    for name in CUT_TO:
        whole = getattr(config, name, None)
        if isinstance(whole, int) and not isinstance(whole, bool):
            to = max(whole // SHARE, min(whole, LEAST), *_least(config, name))
            if to < whole:
                found[name] = (whole, to)
    return found


def _least(config: Any, name: str) -> list[int]:
    limits = type(config).model_fields[name].metadata
    return [int(limit.ge) for limit in limits if getattr(limit, "ge", None) is not None]


def _refuse_unknown(wanted: Sequence[str], compared: bool) -> None:
    known = families()
    for name in wanted:
        if name not in known:
            raise UsageError(
                t("there is no family `{name}`", name=name),
                expected=", ".join((ALL, *known)),
                remedy=did_you_mean(name, list(known)),
            )
    if COMPARISON in wanted and not compared:
        raise UsageError(t("a comparison needs another model"), remedy=t("name it: `--against NAME`"))
    if not wanted:
        raise UsageError(t("nothing to measure"), expected=", ".join((ALL, *known)))


def _project(
    model: str | Path, data: str | Path | None, roles: Mapping[str, str | None], subjects: Mapping[str, Subject]
) -> tuple[dict[str, Any], str]:
    """The project without what measures, and which columns it takes."""
    steps: dict[str, Any] = {}
    told = ""
    if data is not None:
        given = {role: name for role, name in roles.items() if name is not None}
        found = taken(Path(data), given, list(subjects.values()))
        told = found.told
        steps[DATA] = {"uses": "data.read", "with": {"path": str(Path(data).resolve()), **found.settings}}
        steps[SPLIT] = {"uses": "data.split", "with": {"validation": 0.0, "test": 1.0}, "in": {"data": DATA}}
    elif subjects[MODEL].kind != "release":
        raise UsageError(
            t("there are no test rows: only a release knows its own"), remedy=t("name a file of rows: `--data FILE`")
        )
    rows = SPLIT if data is not None else f"{MODEL}.data"
    if data is not None and subjects[MODEL].trained:
        steps[TRAINED] = {"uses": "model.release", "with": {"release": subjects[MODEL].trained}}
    for name, one in subjects.items():
        steps[name] = {**one.step, **({"in": {"data": rows}} if one.kind == "endpoint" else {})}
    slug = re.sub(r"[^a-z0-9]+", "-", str(model).lower()).strip("-")[-50:].strip("-")
    return {"version": 1, "project": f"evaluate-{slug or 'model'}", "steps": steps}, told


def _measuring(name: str, steps: Mapping[str, Any], file: bool) -> dict[str, Any]:
    """The step of a family, bound to the inputs it has."""
    from modelyard.engine.catalog import find

    stage, _ = find(f"{FAMILY}{name}", Path())
    inputs = stage.stage.inputs if stage is not None else {"model": None, "data": None}
    given = {"model": f"{MODEL}.model", "data": SPLIT if file else f"{MODEL}.data"}
    if AGAINST in steps:
        given[AGAINST] = f"{AGAINST}.model"
    if TRAINED in steps:
        given["train"] = f"{TRAINED}.data"
    # Baselines learn from train, of which a file of test rows has none.
    settings: dict[str, Any] = {"baselines": False} if name == "quality" and file else {}
    bound = {port: source for port, source in given.items() if port in inputs}
    return {"uses": f"{FAMILY}{name}", "with": settings, "in": bound}


def _alone(
    value: Mapping[str, Any], name: str, body: Any, names: Sequence[str], folder: Path, sets: Sequence[str]
) -> tuple[BoundProject | None, list[Problem]]:
    """The project with one of its families. Settings of the others are left out with them."""
    others = {*names} - {name} | (set() if AGAINST in body["in"] else {AGAINST})
    steps = {key: step for key, step in value["steps"].items() if key not in others}
    mine = [one for one in sets if not one.startswith(tuple(f"steps.{other}." for other in others))]
    return _load({**value, "steps": {**steps, name: body}}, folder, mine)


def _load(value: Mapping[str, Any], folder: Path, sets: Sequence[str]) -> tuple[BoundProject | None, list[Problem]]:
    from modelyard.engine.bind import load_project_dict

    bound, problems = load_project_dict(value, folder, sets)
    return (None, problems) if problems else (bound, [])
