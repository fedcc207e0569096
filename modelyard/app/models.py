"""Models by name or path: from a release, a bundle folder or a model folder to a predictor."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.app.records import TEXT, Question, Unanswered, record_of
from modelyard.app.releases import folder_of
from modelyard.app.session import open_store
from modelyard.base.files import is_file
from modelyard.base.messages import t
from modelyard.errors import InputError, Problem

if TYPE_CHECKING:
    from modelyard.methods.runtimes.predictor import Prediction, Predictor
    from modelyard.serving import ServingSettings

WINDOW = 1024
"""Records asked at a time."""
_PLACE = re.compile(r"records\[(\d+)\]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Located:
    """A model folder that may be loaded, and what it is called.

    Attributes:
        name: the release's name, or the folder's.
        version: of the release; 1 for a folder.
        released: whether it comes from a release that passed its rules.
    """

    path: Path
    name: str
    version: int
    released: bool


def locate(reference: str | Path, *, project: str | Path | None = None, profile: str | None = None) -> Located:
    """Find a model and check its bytes.

    Args:
        reference: `name`, `name@version`, `name:alias`; or a bundle's folder, or a model folder.

    Raises:
        IntegrityError: the bytes or the signature do not fit.
        StoreError: there is no such release.
    """
    path = Path(reference)
    if is_file(path / "release.json"):
        from modelyard.app.releases import verify_release

        verified = verify_release(path)
        about = json.loads((path / "release.json").read_text(encoding="utf-8"))
        return Located(path / "model", verified.name, about["version"], about["state"] == "released")
    if is_file(path / "model.json"):
        return Located(path, path.resolve().name, 1, False)
    from modelyard.engine.releases import resolve, verified_bundle

    with open_store(folder_of(project), profile) as (_, store):
        item = resolve(store, str(reference))
        folder = verified_bundle(store, item)
        return Located(folder / "model", item.name, item.version, item.state == "released")


def load(
    reference: str | Path,
    *,
    project: str | Path | None = None,
    profile: str | None = None,
    threads: int | None = None,
) -> Predictor:
    """Open a release or a model folder as a predictor; see `locate` for what a reference may be."""
    from modelyard.methods.runtimes import load as open_model

    return open_model(locate(reference, project=project, profile=profile).path, threads=threads)


def predict(
    reference: str | Path,
    records: Sequence[str | Mapping[str, Any]],
    *,
    project: str | Path | None = None,
    profile: str | None = None,
) -> list[Prediction]:
    """Ask a release or a model folder.

    A string stands for `{"text": …}`; for a model that reads images it is the path of one, for a model that reads
    neither a record as JSON.

    Raises InputError if a text holds half a character (its bytes were not UTF-8), or a record cannot be read.
    """
    questions = [Question(item, f"records[{place}]") for place, item in enumerate(records)]
    for question in questions:
        _check_characters(question)
    answers = []
    for answer in ask(reference, questions, project=project, profile=profile):
        if isinstance(answer, Unanswered):
            raise InputError.of([answer.problem])
        answers.append(answer)
    return answers


def ask(
    reference: str | Path,
    questions: Iterable[Question],
    *,
    project: str | Path | None = None,
    profile: str | None = None,
) -> Iterator[Prediction | Unanswered]:
    """Answers in order, one for each question; a record that cannot be read does not stop the others.

    Questions are taken WINDOW at a time, so that they may be more than memory holds.
    """
    from modelyard.methods.tasks import find

    predictor = load(reference, project=project, profile=profile)
    try:
        inputs, waiting = find(predictor.task).inputs, iter(questions)
        while window := list(islice(waiting, WINDOW)):
            yield from _answers(predictor, window, inputs)
    finally:
        predictor.close()


def _answers(
    predictor: Predictor, questions: Sequence[Question], inputs: Mapping[str, Any]
) -> list[Prediction | Unanswered]:
    """Answers of one window, and what could not be read in its place."""
    answers: dict[int, Prediction | Unanswered] = {}
    readable: list[tuple[int, Mapping[str, Any]]] = []
    for place, question in enumerate(questions):
        try:
            _check_characters(question)
            readable.append((place, record_of(question, inputs)))
        except InputError as error:
            answers[place] = Unanswered(error.problems[0])
    segments = [readable] if readable else []
    while segments:
        segment = segments.pop()
        try:
            found = predictor.predict([record for _, record in segment])
        except InputError as error:
            at, problem = _misread(error, len(segment))
            place = segment[at][0]
            answers[place] = Unanswered(replace(problem, where=questions[place].where + problem.where))
            segments += [part for part in (segment[at + 1 :], segment[:at]) if part]
        else:
            answers |= zip([place for place, _ in segment], found, strict=True)
    return [answers[place] for place in range(len(questions))]


def _misread(error: InputError, count: int) -> tuple[int, Problem]:
    """The record that an error names, and the problem with the place inside it. Raises the error if it names none."""
    from modelyard.methods.runtimes.predictor import NotNumbers

    problem = error.problems[0]
    found = _PLACE.match(problem.where)
    if found is None or int(found[1]) >= count or isinstance(error, NotNumbers):
        raise error
    return int(found[1]), replace(problem, where=problem.where[found.end() :])


def _check_characters(question: Question) -> None:
    """Raises InputError for half a character."""
    item = question.item
    text = item if isinstance(item, str) else item.get(TEXT) if isinstance(item, Mapping) else None
    if isinstance(text, str) and _SURROGATE.search(text):
        raise InputError(t("the text is not UTF-8"), where=question.where, expected="UTF-8")


def serve(
    references: Sequence[str | Path],
    settings: ServingSettings,
    *,
    project: str | Path | None = None,
    profile: str | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serve releases until stopped. Each is verified, loaded and tested on its golden inputs before the port opens.

    Args:
        say: told the address and what is loaded.

    Raises ServingError if an address is refused or a model does not pass its self-test.
    """
    from modelyard import serving

    found = [locate(reference, project=project, profile=profile) for reference in references]
    names = [item.name for item in found]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise InputError(t("two models are called {names}", names=", ".join(double)))
    serving.serve({item.name: serving.ModelSource(item.path, item.version) for item in found}, settings, say=say)
