"""Full-text search: the index is made when it is first needed, kept in the store's cache, and never half there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.app.data.finding import Found, opened, plain
from modelyard.base.messages import t
from modelyard.errors import InputError, StoreError
from modelyard.store import Store, derived

if TYPE_CHECKING:
    from modelyard.methods.data.searching.index import Index

Value = dict[str, Any]
Progress = Callable[[int, int], None]


def search(
    reference: str,
    query: str,
    *,
    limit: int = 10,
    split: Sequence[str] = (),
    project: str | Path | None = None,
    profile: str | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Value:
    """The rows that fit a query best, and how many fit.

    Args:
        progress: called with rows done and in all while an index is built.
        say: told when the index cannot be kept.
    """
    from modelyard.methods.data.searching.asking import search as ask
    from modelyard.methods.data.searching.index import indexed
    from modelyard.methods.data.searching.query import parse

    with opened(reference, project, profile) as data:
        splits = data.splits(split)
        words, names = indexed(data.dataset.columns)
        parse(query, [*words, *names])  # a mistake is said before an index is built
        data.count_look(splits, "search")
        with _index(data, progress, say) as index:
            total, hits = ask(index, data.dataset, query, splits, limit)
        return {
            "digest": data.digest,
            "query": query,
            "total": total,
            "splits": list(splits),
            "hits": [{**vars(hit), "row": plain(hit.row), "marks": [list(mark) for mark in hit.marks]} for hit in hits],
        }


@contextmanager
def _index(data: Found, progress: Progress | None, say: Callable[[str], None] | None) -> Iterator[Index]:
    """The index of a data set: the one that is kept, else one made now; in a read-only store, for this search alone."""
    from modelyard.methods.data.searching.index import VERSION, Index

    target = derived.entry(data.store.root, "search", VERSION, data.digest)
    with ExitStack() as stack:
        index = _usable(target)
        if index is None and not _writable(data.store):
            room = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modelyard-search-")))
            index = _usable(_linked(target, room / "linked"))
            if index is None:
                if say:
                    say(t("the store cannot be written to: the index is made for this search alone"))
                (room / "made").mkdir()
                index = Index.open(_fill(data, room / "made", progress))
        yield index or Index.open(_build(data, target, progress))


def _usable(target: Path) -> Index | None:
    from modelyard.methods.data.searching.index import Index

    try:
        index = Index.open(target)
        index.check()
    except InputError:
        return None
    return index


def _writable(store: Store) -> bool:
    try:
        store.artifacts.workspace()
    except StoreError:
        return False
    return True


def _linked(target: Path, room: Path) -> Path:
    """The files of an index where a lock can be made beside them: without one it is not opened."""
    room.mkdir()
    for path in sorted(target.glob("*")):
        if path.suffix != ".lock":
            (room / path.name).symlink_to(path)
    return room


def _build(data: Found, target: Path, progress: Progress | None) -> Path:
    """Build the index aside and move it into place."""
    folder = data.store.artifacts.workspace()
    try:
        _fill(data, folder, progress)
        if target.exists():  # one that cannot be opened
            shutil.rmtree(target)
        return derived.place(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fill(data: Found, folder: Path, progress: Progress | None) -> Path:
    from modelyard.methods.data.searching.index import build

    build(data.dataset, folder, progress)
    return folder
