"""Answers about rows drawn at random: which of them are a sample, and how many labels they found wrong.

What an answer says of itself (`why: audit`) proves nothing: rows chosen by hand would give any rate. So an answer
counts only if the queue it names was drawn by a stage, is at hand, and has the row among those drawn at random. They
stand in it in random order, so that those answered from the first on, without a gap, are a sample; after a gap
somebody may have chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelyard.base.canonical import digest_file
from modelyard.core.artifact import FileEntry, Manifest
from modelyard.methods.data.labelling import queue
from modelyard.methods.data.labelling.answers import Answer

WHY = "audit"


@dataclass(frozen=True)
class Audited:
    """Rows of the sample that were answered for, those of them whose label was wrong, and answers left out."""

    num: int = 0
    num_wrong: int = 0
    num_left_out: int = 0


def audited(folder: Path, fitting: Mapping[str, Answer]) -> Audited:
    """What the answers say about the rows that the queue in `folder` drew at random.

    Args:
        folder: an artifact of a queue.
        fitting: answers that fit the data, by row id.

    Raises:
        InputError: the folder holds no queue.
    """
    digest = digest_of(folder)
    drawn = [item for item in queue.read(folder, digest).items if item.why == WHY]
    num, wrong = 0, 0
    for item in drawn:
        answer = fitting.get(item.row_id)
        if answer is None or answer.source != digest or answer.before is None or answer.before != item.given:
            break
        num += 1
        wrong += answer.after != answer.before
    return Audited(num, wrong, claimed(fitting) - num)


def claimed(fitting: Mapping[str, Answer]) -> int:
    """Answers that say of themselves that their row was drawn at random."""
    return sum(answer.why == WHY for answer in fitting.values())


def digest_of(folder: Path) -> str:
    """The digest of an artifact, from its bytes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = (FileEntry(path.relative_to(folder).as_posix(), path.stat().st_size, digest_file(path)) for path in paths)
    return Manifest.of(entries).digest
