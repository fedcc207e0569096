"""Queues of rows to label: found in the store, answered, sent to Label Studio and brought back."""

from __future__ import annotations

import getpass
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.app.releases import folder_of
from modelyard.app.session import open_store
from modelyard.app.show import find_digest
from modelyard.base import files
from modelyard.base.clock import now_utc
from modelyard.base.messages import t
from modelyard.errors import InputError

if TYPE_CHECKING:
    from modelyard.methods.data.labelling.answers import Answer
    from modelyard.methods.data.labelling.label_studio import Imported
    from modelyard.methods.data.labelling.queue import Queue
    from modelyard.methods.data.labelling.review import Review

LONGEST_NAME = 200


@dataclass(frozen=True)
class Desk:
    """A queue and the file its answers go to."""

    queue: Queue
    answers: Path


def open_desk(
    step: str, *, to: Path | None = None, project: str | Path | None = None, profile: str | None = None
) -> Desk:
    """The queue that a step's latest run wrote.

    Args:
        step: a step (its output `queue`), `step.port`, or a digest.
        to: the file of answers; None is `labels/STEP.jsonl` beside the project.
    """
    from modelyard.methods.data.labelling import queue

    folder = folder_of(project)
    with open_store(folder, profile) as (_, store):
        known = store.ledger.runs(step=step, status="done", limit=1)
        digest = find_digest(store, f"{step}.queue" if known else step)
        found = queue.read(store.artifacts.path(digest), digest)
    return Desk(found, to or folder / "labels" / f"{step}.jsonl")


def answers_of(desk: Desk) -> tuple[list[Answer], int]:
    """The answers given so far, and how many lines of the file are none."""
    from modelyard.methods.data.labelling.answers import parse

    try:
        data = desk.answers.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise InputError(
            t("cannot read the file: {error}", error=error.strerror or error), where=str(desk.answers)
        ) from None
    answers, bad = parse(data, desk.answers.name)
    return answers, len(bad)


def review(desk: Desk, author: str) -> Review:
    """The author's session, going on after the answers that are there."""
    from modelyard.methods.data.labelling.review import Review

    return Review.resume(desk.queue, answers_of(desk)[0], author)


def record(desk: Desk, answers: Sequence[Answer]) -> None:
    """Append answers; they are on the disk when this returns."""
    if answers:
        files.make_folder(desk.answers.parent)
        files.append_durably(desk.answers, "".join(one.to_line() + "\n" for one in answers).encode("utf-8"))


def export(desk: Desk, target: Path) -> Path:
    """Write Label Studio tasks to `target`, and the labelling configuration beside it (`.xml`); returns the latter."""
    from modelyard.methods.data.labelling import label_studio

    beside = target.with_suffix(".xml")
    files.make_folder(target.resolve().parent)
    tasks = json.dumps(label_studio.tasks(desk.queue), ensure_ascii=False, indent=1)
    files.write_atomic(target, tasks.encode("utf-8"))
    files.write_atomic(beside, label_studio.config(desk.queue).encode("utf-8"))
    return beside


def bring_in(desk: Desk, source: Path) -> tuple[Imported, int]:
    """Append the answers of a Label Studio export; those that are there already are not added again.

    Returns:
        What the export came to, and how many answers were new.
    """
    from modelyard.methods.data.labelling import label_studio

    try:
        data = source.read_bytes()
    except OSError as error:
        raise InputError(t("cannot read the file: {error}", error=error.strerror or error), where=str(source)) from None
    found = label_studio.read(data, desk.queue, source.name)
    known = {(one.row_id, one.author, one.time, one.after) for one in answers_of(desk)[0]}
    new = [one for one in found.answers if (one.row_id, one.author, one.time, one.after) not in known]
    record(desk, new)
    return found, len(new)


def default_author(folder: Path | None = None) -> str:
    """Who git says works here, else the name of the account."""
    try:
        done = subprocess.run(
            ["git", "config", "user.name"], capture_output=True, text=True, cwd=folder, timeout=5, check=False
        )
        name = done.stdout.strip()
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        name = ""
    if not name:
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # an account without a name
            name = "unknown"
    return name[:LONGEST_NAME]


def now() -> str:
    """The time an answer is given at."""
    return now_utc()
