"""Pictures as examples of a concept: files and folders that the file of concepts names, beside itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelyard.base.canonical import digest_file
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.evaluation.concepts.reading import FEWEST, Concept, Given
from modelyard.methods.preprocessing.image import MAX_BYTES
from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.tasks.image_classification import FIELD

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")


def pictures(concept: Concept, examples: Given, folder: Path) -> list[Record]:
    """What the model is asked. Raises InputError for what is no picture, too large or not there, and for too few.

    Args:
        folder: what paths are relative to.
    """
    files = [file for one in _named(examples) for file in _files(concept, one, folder)]
    if len(files) < FEWEST:
        raise InputError(
            t("the concept `{name}` has {num} pictures on one side", name=concept.name, num=len(files)),
            where=examples if isinstance(examples, str) else concept.name,
            expected=t("at least {num}", num=FEWEST),
        )
    return [{FIELD: _bytes(file)} for file in files]


def digests(concepts: Sequence[Concept], folder: Path) -> dict[str, str]:
    """Of every picture that the concepts may name: the digest of its bytes by its path."""
    found: dict[str, str] = {}
    for concept in concepts:
        for examples in (concept.positive, concept.negative):
            for name in _named(examples):
                for file in _there(name, folder, in_folder=isinstance(examples, str)):
                    found[f"{name}: {file.name}"] = digest_file(file)
    return found


def _named(examples: Given) -> list[str]:
    """The names among the examples: one folder, or files."""
    return [examples] if isinstance(examples, str) else [one for one in examples if isinstance(one, str)]


def _files(concept: Concept, name: str, folder: Path) -> list[Path]:
    found = _there(name, folder, in_folder=True)
    if not found:
        raise InputError(
            t("an example of the concept `{name}` is no picture that is there", name=concept.name),
            where=str(folder / name[:1000]),
            expected=t("a file, or a folder of files, of the kinds {kinds}", kinds=", ".join(SUFFIXES)),
        )
    return found


def _there(name: str, folder: Path, in_folder: bool) -> list[Path]:
    """The picture of that name, or those of the folder of that name; nothing for a text."""
    path = folder / name
    try:
        if path.suffix.lower() in SUFFIXES and path.is_file():
            return [path]
        inside = sorted(path.iterdir()) if in_folder and path.is_dir() else []
    except OSError:  # a text may be too long for a name
        return []
    return [file for file in inside if file.suffix.lower() in SUFFIXES and file.is_file()]


def _bytes(file: Path) -> bytes:
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise InputError(t("{found:,} bytes, over {most:,}", found=size, most=MAX_BYTES), where=str(file))
    return file.read_bytes()
