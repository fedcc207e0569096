"""What can be said of a release's rules before anything runs: somebody measures the claim, about the right artifact."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.base.messages import did_you_mean, t
from modelyard.base.yaml import KeyPath
from modelyard.core.evidence import Claim
from modelyard.core.project import Rule
from modelyard.engine.bound import BoundFolds, BoundStep, Output, descent, outputs_of, real, resolve_output, touching
from modelyard.engine.catalog import stages_measuring
from modelyard.engine.fields import Fields
from modelyard.engine.held_out import of_test
from modelyard.engine.project_file import ReadProject


def check_release(read: ReadProject, steps: Sequence[BoundStep], fields: Fields, whole: bool) -> Output | None:
    """The released output; problems of the release and of each rule are noted.

    Rules are judged only when every step could be opened: a claim that nobody measures may be a broken step's.

    Args:
        whole: every input could be bound. If not, only the names in rules are checked, not what descends from what.
    """
    spec = read.project.release if read.project is not None else None
    if read.project is None or spec is None:
        return None
    written = {item.name for item in read.project.steps} | read.broken
    path: KeyPath = ("release", "model")
    name, _, port = spec.model.partition(".")
    step = next((item for item in steps if item.name == name), None)
    if step is None:
        known = [item.name for item in steps if outputs_of(item, "model")]
        if name not in written:
            fields.note(path, t("there is no step `{step}`", step=name), remedy=did_you_mean(name, known))
        return None
    named = resolve_output(step, port, "model", path, fields)
    if named is not None and of_test(step, named[1]):
        fields.note(
            path, t("`{source}` is made of test rows: it may be measured and compared with, no more", source=name)
        )
        return None
    model = real(steps, named) if named is not None else None
    if model is not None and written <= {item.name for item in steps}:
        judge = _Judge(steps, model, fields, whole)
        for position, rule in zip(read.rule_positions, spec.rules, strict=True):
            judge.rule(rule, ("release", "rules", position))
    return model


class _Judge:
    """Checks the rules of one release, one by one."""

    def __init__(self, steps: Sequence[BoundStep], model: Output, fields: Fields, whole: bool) -> None:
        self.steps = steps
        self.model = model
        self.fields = fields
        self.whole = whole
        self.family = self._family()

    def _family(self) -> set[Output]:
        """The model, all it descends from, and the data it is measured on with what that descends from."""
        found = {self.model, *descent(self.steps, self.model)}
        for step in self.steps:
            parents = set(step.parents())
            if self.model in parents:
                for parent in parents - {self.model}:
                    found |= {parent, *descent(self.steps, parent)}
        makers = {step for step, _ in found}
        for step in self.steps:  # folds of the steps that made it speak for how it was made
            if isinstance(step, BoundFolds) and makers & set(step.repeated):
                found |= {(step.name, port) for port in step.stage.outputs}
        return found

    def rule(self, rule: Rule, path: KeyPath) -> None:
        claims = {claim.name: claim for step in self.steps for claim in step.stage.claims}
        claim = claims.get(rule.claim)
        if claim is None:
            self._unknown(rule, path, list(claims))
            return
        self._possible(rule, claim, path)
        target = self._target(rule, path)
        if target is not None and self.whole:
            self._measured(rule, claim, target, path)

    def _possible(self, rule: Rule, claim: Claim, path: KeyPath) -> None:
        """A rate lies between 0 and 1: a bound of 80 is a slip for 0.80."""
        name, bound = ("min", rule.min) if rule.min is not None else ("max", rule.max)
        if claim.sizing == "rate" and bound is not None and not 0 <= bound <= 1:
            found = t("`{name}` is {bound}, and `{claim}` is a rate", name=name, bound=f"{bound:g}", claim=claim.name)
            self.fields.note((*path, name), found, t("a number from 0 to 1"))

    def _unknown(self, rule: Rule, path: KeyPath, known: list[str]) -> None:
        found = t("no step of the project measures `{claim}`", claim=rule.claim)
        stages = stages_measuring(rule.claim)
        names = t(" or ").join(f"`{name}`" for name in stages[:3])
        remedy = t("add a step that uses {stages}", stages=names) if stages else did_you_mean(rule.claim, known)
        self.fields.note((*path, "claim"), found, remedy=remedy)

    def _target(self, rule: Rule, path: KeyPath) -> Output | None:
        """The output the rule speaks about: the release's, or that of `of`."""
        if rule.of is None:
            return self.model
        here: KeyPath = (*path, "of")
        name, _, port = rule.of.partition(".")
        step = next((item for item in self.steps if item.name == name), None)
        if step is None:
            known = [item.name for item in self.steps]
            self.fields.note(here, t("there is no step `{step}`", step=name), remedy=did_you_mean(name, known))
            return None
        ports = [port] if port else [name for name, item in step.stage.outputs.items() if not item.side]
        if len(ports) != 1 or ports[0] not in step.stage.outputs:
            known = [f"{step.name}.{name}" for name in step.stage.outputs]
            self.fields.note(here, t("`{of}` is not one output", of=rule.of), remedy=did_you_mean(rule.of, known))
            return None
        return self._related(real(self.steps, (step.name, ports[0])), here)

    def _related(self, target: Output, path: KeyPath) -> Output | None:
        if not self.whole or target in self.family or target[0] in {step for step, _ in self.family}:
            return target
        model = ".".join(self.model)
        found = t("`{of}` has no part in `{model}`", of=target[0], model=model)
        expected = t("the released step, one it was made from, or the data it is measured on")
        known = sorted({step for step, _ in self.family})
        self.fields.note(path, found, expected, t("known: {known}", known=", ".join(known)))
        return None

    def _measured(self, rule: Rule, claim: Claim, target: Output, path: KeyPath) -> None:
        wanted = self.family if claim.subject == "lineage" and rule.of is None else {target}
        about = list(touching(self.steps, claim.name))
        hits = [step for step, outputs in about if outputs & wanted]
        if not hits:
            self._about_another(rule, target, about, path)
        elif not any(self._sees(step, rule, claim) for step in hits):
            names = ", ".join(f"`{step.name}`" for step in hits)
            found = t(
                "{steps} measures `{claim}`, but not on {split} data", steps=names, claim=claim.name, split=rule.on
            )
            splits = sorted({split for step in hits for port in step.stage.inputs.values() for split in port.splits})
            remedy = t("`on:` one of: {known}", known=", ".join(splits)) if splits else ""
            self.fields.note((*path, "on") if rule.on != "test" else path, found, remedy=remedy)

    def _about_another(
        self, rule: Rule, target: Output, about: list[tuple[BoundStep, set[Output]]], path: KeyPath
    ) -> None:
        step, outputs = about[0]
        others = sorted({name for name, _ in outputs if name != step.name}) or [step.name]
        found = t(
            "`{claim}` is measured by `{step}` about {others}, not about `{target}`",
            claim=rule.claim,
            step=step.name,
            others=", ".join(f"`{name}`" for name in others),
            target=target[0],
        )
        remedy = t("bind it: `in: {{model: {target}}}` in `{step}`", target=target[0], step=step.name)
        if target != self.model or not any(port.kind == "model" for port in step.stage.inputs.values()):
            remedy = t("say whom it is about: `of: {other}`", other=others[-1])
        self.fields.note((*path, "claim"), found, t("evidence about the artifact that is judged"), remedy)

    def _sees(self, step: BoundStep, rule: Rule, claim: Claim) -> bool:
        """Whether the step's evidence can be on the rule's split, as the gate will ask."""
        if claim.any_split and rule.on == "test":
            return True
        datasets = [port for port in step.stage.inputs.values() if port.kind == "dataset"]
        made = [port for port in step.stage.outputs.values() if port.kind == "dataset"]
        return any(rule.on in port.splits for port in (*datasets, *made))
