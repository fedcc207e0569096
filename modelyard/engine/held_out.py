"""A model is tested on rows it never saw: its test split and what it learned from come from one cut of the data.

Two cuts of the same rows (two uses of `data.split`, or one and the uncut data) put rows of one's train into the
other's test, and accuracy then measures memory. Data from elsewhere, read by a step of its own, may be tested on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from modelyard.base.messages import t
from modelyard.engine.bound import BoundStep, Output, descent
from modelyard.engine.fields import Fields
from modelyard.engine.stage_rules import EVALUATE


def check_held_out(steps: Sequence[BoundStep], fields: Fields) -> None:
    """Note every step that would test a model on rows which the model may have learned from."""
    named = {step.name: step for step in steps}
    _check_only_measured(steps, fields, named)
    for step in steps:
        for port, test in _inputs(step, "dataset", "test"):
            for _, model in _inputs(step, "model"):
                seen = next((data for data in _learned_from(steps, model) if _mixed(steps, test, data, named)), None)
                if seen is not None:
                    fields.note(
                        ("steps", step.name, "in", port),
                        t(
                            "test rows of `{test}` may be among those `{model}` learned from in `{seen}`:"
                            " both were cut from the same data",
                            test=test[0],
                            model=model[0],
                            seen=seen[0],
                        ),
                        t("test rows cut together with the training rows, or data of another source"),
                        t("bind it: `in: {{{port}: {seen}}}` in `{step}`", port=port, seen=seen[0], step=step.name),
                    )


def of_test(step: BoundStep, port: str) -> bool:
    """Whether an output is a model made of test rows: answers somebody gave to them."""
    sees = any("test" in item.splits for item in step.stage.inputs.values())
    return sees and step.stage.outputs[port].kind == "model"


def _check_only_measured(steps: Sequence[BoundStep], fields: Fields, named: Mapping[str, BoundStep]) -> None:
    """Note every step that would learn from, change or pass on what was made of test rows."""
    for step in steps:
        if step.found.name.startswith(EVALUATE):
            continue
        for port, (source, output) in _inputs(step, "model"):
            if of_test(named[source], output):
                fields.note(
                    ("steps", step.name, "in", port),
                    t("`{source}` is made of test rows: it may be measured and compared with, no more", source=source),
                    t("a model that has seen no test row"),
                )


def _inputs(step: BoundStep, kind: str, split: str = "") -> Iterator[tuple[str, Output]]:
    """Input ports of a kind (that see a split), with what is bound to them."""
    for name, port in step.stage.inputs.items():
        if port.kind == kind and (not split or split in port.splits):
            yield from ((name, output) for output in step.bindings.get(name, ()))


def _learned_from(steps: Sequence[BoundStep], model: Output) -> list[Output]:
    """The data sets that the steps which made the model were given."""
    makers = {name for name, _ in {model, *descent(steps, model)}}
    return [
        data
        for step in steps
        if step.name in makers and any(port.kind == "model" for port in step.stage.outputs.values())
        for _, data in _inputs(step, "dataset")
    ]


def _mixed(steps: Sequence[BoundStep], test: Output, seen: Output, named: Mapping[str, BoundStep]) -> bool:
    one, other = _cut(test, named), _cut(seen, named)
    return one != other and bool(_sources(steps, one, named) & _sources(steps, other, named))


def _cut(data: Output, named: Mapping[str, BoundStep]) -> Output:
    """Where the splits of a data set were made; the data set itself if it has none."""
    step = named[data[0]]
    for split in ("train", "test"):
        for _, above in _inputs(step, "dataset", split):
            return _cut(above, named)
    return data


def _sources(steps: Sequence[BoundStep], data: Output, named: Mapping[str, BoundStep]) -> set[str]:
    """Steps that rows of a data set came through; steps that read the same thing count as one."""
    names = {name for name, _ in {data, *descent(steps, data)}}
    roots = {f"{named[name].step.uses} {named[name].config!r}" for name in names if not named[name].parents()}
    return names | roots
