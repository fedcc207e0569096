"""The loader: every row once an epoch, the same batches however they are made, nothing mixed or lost by a kill."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny_reviews import reviews

from modelyard.errors import StageError
from modelyard.methods.data import dataset as dataset_module
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.preprocessing import bpe, tokens
from modelyard.methods.training import batching, classification, loop
from modelyard.methods.training.loader import plans
from modelyard.methods.training.loader import store as store_module
from modelyard.methods.training.loader.ahead import Ahead, FeedAhead
from modelyard.methods.training.loader.collating import Loaded, attention, collate
from modelyard.methods.training.loader.feeding import Loader
from modelyard.methods.training.loader.plans import Layout, best_fit, window_batches, window_order
from modelyard.methods.training.loader.store import Reading, TokenStore, folder_for

SCRIPT = Path(__file__).parents[1] / "support" / "load_and_print.py"
BUCKETS, PACKS = Layout("buckets", 256, window=2), Layout("packs", 256, 48, window=2)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "PIECE_ROWS", 25)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tokens.Tokens, list[str | None]]:
    """A data set of small row groups with texts of 0 to over 64 tokens, and a tokenizer learned from them."""
    folder = tmp_path_factory.mktemp("data")
    parts = [text for text, _ in reviews(300, 3)]
    texts: list[str | None] = [" ".join(parts[row : row + 1 + row % 5]) for row in range(260)]
    texts[7], texts[40] = None, ""
    schema = pa.schema([("row_id", pa.string()), ("text", pa.string())])
    write_schema(folder, [Column("row_id", "other", "string"), Column("text", "text", "string")])
    table = pa.table({"row_id": [f"r{row}" for row in range(len(texts))], "text": texts}, schema)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset_module, "GROUP_ROWS", 60)
        patch.setattr(dataset_module, "SHARD_ROWS", 120)
        write_split(folder, "train", [table], schema)
    made = tokens.wrap(bpe.learn([text or "" for text in texts], 600), 64, bpe.SPECIAL.index(bpe.PAD))
    return folder, made, texts


@pytest.fixture
def store(made: tuple[Path, tokens.Tokens, Any], tmp_path: Path) -> Iterator[TokenStore]:
    yield from opened(made, tmp_path)


def opened(made: tuple[Path, tokens.Tokens, Any], root: Path, workers: int = 0) -> Iterator[TokenStore]:
    data, reading = Dataset.open(made[0]), Reading.of(made[1])
    store = TokenStore(folder_for(root, data, "train", "text", reading), data, "train", "text", reading, workers)
    yield store
    store.close()


def flat(loaded: Loaded) -> list[list[Any]]:
    return [loaded.inputs[name].tolist() for name in sorted(loaded.inputs)]


def documents(loaded: Loaded) -> list[list[int]]:
    """Token ids of each document of a batch, in order."""
    ids, marks = loaded.inputs["input_ids"], loaded.inputs["document_ids"]
    return [
        ids[line][marks[line] == mark].tolist()
        for line in range(len(ids))
        for mark in range(1, int(marks[line].max()) + 1)
    ]


def test_tokens_are_those_of_the_preprocessor(
    store: TokenStore, made: tuple[Any, tokens.Tokens, list[str | None]]
) -> None:
    _, tokenizer, texts = made
    rows = np.array([0, 259, 39, 40, 7, 130])
    whole = [tokenizer.ids([texts[row]])[0] if texts[row] else [] for row in rows]  # type: ignore[list-item]
    counts = np.array([len(ids) for ids in whole])
    assert [piece.num_rows for piece in store.pieces] == [25, 25, 10] * 4 + [20]
    assert store.take(rows, np.zeros(6, np.int64), counts).tolist() == [token for ids in whole for token in ids]
    lengths = np.concatenate([store.lengths(number) for number in range(13)])
    assert lengths[rows].tolist() == counts.tolist()
    assert store.take(rows[:1], np.array([2]), np.array([3])).tolist() == whole[0][2:5]


@pytest.mark.parametrize("layout", [BUCKETS, PACKS], ids=["buckets", "packs"])
def test_every_row_stands_in_an_epoch_exactly_once_whole(
    store: TokenStore, made: tuple[Any, tokens.Tokens, list[str | None]], layout: Layout
) -> None:
    _, tokenizer, texts = made
    expected = sorted(tuple(ids) for ids in tokenizer.ids([text for text in texts if text]))
    loader = Loader(store, layout, seed=1)
    for epoch in range(2):
        pieces: dict[int, list[list[int]]] = {}
        for loaded in loader:
            for row, ids in zip(loaded.rows.tolist(), documents(loaded), strict=True):
                pieces.setdefault(row, []).append(ids)
            assert loaded.inputs["input_ids"].numel() <= layout.tokens
        # A row longer than a line comes in several pieces: a whole line and the rest.
        whole = [
            tuple(token for part in sorted(parts, key=len, reverse=True) for token in part) for parts in pieces.values()
        ]
        assert sorted(whole) == expected
        assert any(len(parts) > 1 for parts in pieces.values()) == (layout.kind == "packs")
        assert loader.epoch == epoch + 1


def test_packed_documents_never_see_each_other(store: TokenStore) -> None:
    loader = Loader(store, PACKS, seed=2)
    several = 0
    for loaded in loader:
        marks, positions = loaded.inputs["document_ids"], loaded.inputs["position_ids"]
        real = loaded.inputs["attention_mask"].bool()
        assert ((marks > 0) == real).all()
        several += int((marks.max(dim=1).values > 1).sum())
        for line in range(len(marks)):
            for mark in range(1, int(marks[line].max()) + 1):
                where = torch.nonzero(marks[line] == mark).ravel()
                assert (where == torch.arange(int(where[0]), int(where[-1]) + 1)).all()
                assert positions[line][where].tolist() == list(range(len(where)))
        seen = attention(marks)[:, 0]
        outside = marks[:, :, None] != marks[:, None, :]
        assert not (seen & outside).any()
        assert seen.any(dim=2).all()
        assert not attention(marks, causal=True)[:, 0].triu(1).any()
    assert several > 10


def test_a_packed_document_gets_the_answer_it_gets_alone(store: TokenStore) -> None:
    torch.manual_seed(0)
    embedding, places = torch.nn.Embedding(700, 16), torch.nn.Embedding(64, 16)

    def network(loaded: Loaded) -> torch.Tensor:
        hidden = embedding(loaded.inputs["input_ids"]) + places(loaded.inputs["position_ids"])
        mask = attention(loaded.inputs["document_ids"], causal=True)
        return torch.nn.functional.scaled_dot_product_attention(*[hidden[:, None]] * 3, attn_mask=mask)[:, 0]

    loaded = next(iter(Loader(store, PACKS, seed=3)))
    together = network(loaded)
    marks = loaded.inputs["document_ids"]
    for number, ids in enumerate(documents(loaded)[:6]):
        line, mark = [(line, mark) for line in range(len(marks)) for mark in range(1, int(marks[line].max()) + 1)][
            number
        ]
        one = {
            "input_ids": torch.tensor([ids]),
            "position_ids": torch.arange(len(ids))[None],
            "document_ids": torch.ones(1, len(ids), dtype=torch.long),
        }
        alone = network(Loaded(one, np.zeros(1, np.int64)))
        torch.testing.assert_close(together[line][marks[line] == mark], alone[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("layout", [BUCKETS, PACKS], ids=["buckets", "packs"])
def test_batches_are_the_same_with_no_worker_one_and_two(made: Any, tmp_path: Path, layout: Layout) -> None:
    found = []
    for workers in (0, 1, 2):
        for store in opened(made, tmp_path / str(workers), workers):
            batches = [flat(loaded) for loaded in Loader(store, layout, seed=4)]
            found.append((batches, {path.name: path.read_bytes() for path in store.folder.iterdir()}))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("layout", [BUCKETS, PACKS], ids=["buckets", "packs"])
def test_it_goes_on_from_any_batch(store: TokenStore, layout: Layout) -> None:
    loader = Loader(store, layout, seed=5)
    straight = [(loader.state_dict(), flat(loaded)) for _ in range(2) for loaded in loader]
    assert len(straight) == 2 * loader.num_batches
    for cut in range(0, len(straight), 7):
        again = Loader(store, layout, seed=5)
        again.load_state_dict(json.loads(json.dumps(straight[cut][0])))
        rest = [flat(loaded) for _ in range(2 - again.epoch) for loaded in again]
        assert rest == [batch for _, batch in straight[cut + 1 :]]


def test_a_state_of_another_seed_or_number_of_ranks_is_refused(store: TokenStore) -> None:
    state = Loader(store, BUCKETS, seed=1).state_dict()
    with pytest.raises(ValueError, match="seed"):
        Loader(store, BUCKETS, seed=2).load_state_dict(state)
    with pytest.raises(ValueError, match="world"):
        Loader(store, BUCKETS, seed=1, rank=1, world=2).load_state_dict(state)


def digest(loaded: Loaded) -> str:
    """As tests/support/load_and_print.py has it."""
    found = hashlib.sha256()
    for name in sorted(loaded.inputs):
        found.update(loaded.inputs[name].numpy().tobytes())
    return found.hexdigest()


def lines_until(process: subprocess.Popen[str], num: int) -> list[dict[str, Any]]:
    assert process.stdout is not None
    return [json.loads(line) for line, _ in zip(process.stdout, range(num), strict=False)]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "workers"), [("packs", 2), pytest.param("buckets", 0, marks=pytest.mark.proof)])
def test_killed_runs_hand_out_what_a_straight_one_does(made: Any, tmp_path: Path, kind: str, workers: int) -> None:
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text(made[1].tokenizer.to_str())

    def start(root: str, *state: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            str(SCRIPT),
            str(made[0]),
            str(tmp_path / root),
            str(tokenizer),
            kind,
            str(workers),
            "2",
        ]
        environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])}
        return subprocess.Popen([*command, *state], stdout=subprocess.PIPE, text=True, env=environment)

    layout = {"buckets": BUCKETS, "packs": PACKS}[kind]
    straight = []
    for store in opened(made, tmp_path / "straight"):
        loader = Loader(store, layout, seed=5)
        straight = [{"state": loader.state_dict(), "digest": digest(loaded)} for _ in range(2) for loaded in loader]
    pieced: list[dict[str, Any]] = []
    for num in (3, 25, 10_000):
        state = [json.dumps(pieced[-1]["state"])] if pieced else []
        with start("killed", *state) as process:
            pieced += lines_until(process, num)
            process.kill()
    assert pieced == straight


def test_a_piece_left_half_by_a_kill_is_made_anew(store: TokenStore, made: Any, tmp_path: Path) -> None:
    whole = [flat(loaded) for loaded in Loader(store, BUCKETS, seed=6)]
    for again in opened(made, tmp_path / "again"):
        (again.folder / "000003.tokens").write_bytes(b"half")
        (again.folder / "000002.0abc.tmp").write_bytes(b"half")
        assert [flat(loaded) for loaded in Loader(again, BUCKETS, seed=6)] == whole


def test_later_epochs_and_restarts_tokenize_nothing(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    list(Loader(store, BUCKETS, seed=7))
    monkeypatch.setattr("modelyard.methods.training.loader.store.make_piece", None)
    loader = Loader(store, PACKS, seed=8)
    assert sum(1 for _ in loader) == loader.num_batches


def test_another_tokenizer_or_other_data_is_another_folder(made: Any, tmp_path: Path) -> None:
    data, reading = Dataset.open(made[0]), Reading.of(made[1])
    names = {
        folder_for(tmp_path, data, "train", "text", reading),
        folder_for(tmp_path, data, "train", "text", Reading(reading.tokenizer, 32)),
        folder_for(
            tmp_path, data, "train", "text", Reading(reading.tokenizer.replace('"type":"BPE"', '"type":"BPE" '), 64)
        ),
        folder_for(tmp_path, data, "train", "text", reading, digest="sha256:other"),
    }
    assert len(names) == 4


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.integers(0, 130), max_size=60),
    st.sampled_from(["buckets", "packs"]),
    st.integers(1, 5),
    st.integers(0, 3),
)
def test_ranks_share_all_rows_in_equally_many_batches(lengths: list[int], kind: Any, world: int, epoch: int) -> None:
    layout = Layout(kind, 120, 50)
    rows, sizes = np.arange(len(lengths)) + 100, np.array(lengths, np.int64)
    batches = window_batches(rows, sizes, layout, 9, epoch, 0, world)
    assert len(batches) % world == 0
    assert len(batches) == len(window_batches(rows, sizes, layout, 9, 0, 0, world))
    seen = sorted(
        (int(row), int(offset), int(count))
        for batch in batches
        if not batch.filler
        for row, offset, count in zip(batch.rows, batch.offsets, batch.counts, strict=True)
    )
    step = layout.length if kind == "packs" else 1_000
    assert seen == [
        (row + 100, offset, min(step, length - offset))
        for row, length in enumerate(lengths)
        for offset in range(0, length, step)
    ]
    for batch in batches:
        assert batch.num_lines * batch.width <= layout.tokens or len(batch.rows) == 1
        assert kind == "buckets" or batch.width <= layout.length
        assert (np.diff(batch.lines) >= 0).all()
        assert set(batch.lines.tolist()) == set(range(batch.num_lines))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 60), max_size=80), st.integers(60, 100))
def test_best_fit_fills_bins_nearly_as_well_as_can_be(sizes: list[int], capacity: int) -> None:
    ordered = np.array(sorted(sizes, reverse=True), np.int64)
    bins = best_fit(ordered, capacity)
    filled = np.bincount(bins, ordered) if len(ordered) else np.zeros(0)
    assert (filled <= capacity).all()
    slow: list[int] = []
    for size in ordered.tolist():
        room = [capacity - full for full in slow]
        fitting = [place for place, left in enumerate(room) if left >= size]
        if fitting:
            slow[min(fitting, key=lambda place: room[place])] += size
        else:
            slow.append(size)
    assert sorted(filled.tolist()) == sorted(slow)


def test_buckets_pad_little_and_packs_less(store: TokenStore) -> None:
    waste = {}
    for name, layout in (
        ("buckets", Layout("buckets", 2_048, window=13)),
        ("packs", Layout("packs", 2_048, 128, window=13)),
    ):
        loaded = list(Loader(store, layout, seed=10))
        cells = sum(batch.inputs["input_ids"].numel() for batch in loaded)
        waste[name] = 1 - sum(batch.num_tokens for batch in loaded) / cells
    assert waste["buckets"] < 0.15
    assert waste["packs"] < 0.06


def test_epochs_take_windows_and_rows_in_other_orders(store: TokenStore) -> None:
    loader = Loader(store, BUCKETS, seed=11)
    orders = [[row for loaded in loader for row in loaded.rows.tolist()] for _ in range(2)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])
    assert len({tuple(window_order([8] * 6, 11, epoch)) for epoch in range(8)}) > 1


@pytest.mark.parametrize("num_pieces", [0, 1, 7, 8, 9, 32, 33, 100])
def test_windows_hold_every_piece_once_and_the_first_of_much_data_are_small(num_pieces: int) -> None:
    found = plans.windows(num_pieces, 8)
    assert sorted(piece for window in found for piece in window) == list(range(num_pieces))
    sizes = [len(window) for window in found]
    if num_pieces > 32:
        assert sizes[:5] == [1, 1, 2, 4, 8]
        assert window_order(sizes, 1, 0)[:4] != window_order(sizes, 1, 1)[:4]
        assert [sizes[window] for window in window_order(sizes, 1, 0)][:4] == [1, 1, 2, 4]
    else:
        assert all(size == 8 for size in sizes[:-1])


def test_a_filler_weighs_nothing(store: TokenStore) -> None:
    lone = plans.Batch(*(np.array([value]) for value in (3, 0, 2, 0)), filler=True)
    assert collate(store, lone).weight == 0.0


def test_what_fails_in_the_thread_is_raised_where_batches_are_taken() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    ahead = Ahead(broken, 1)
    items = iter(ahead)
    assert next(items) == 1
    with pytest.raises(OSError, match="gone"):
        next(items)
    ahead.close()


def test_a_worker_that_is_killed_is_told(made: Any, tmp_path: Path) -> None:
    for store in opened(made, tmp_path, 1):
        store.ahead(range(len(store.pieces)))
        assert store._pool is not None
        for process in list(store._pool._processes.values()):
            process.kill()
        with pytest.raises(StageError, match="ended before"):
            list(Loader(store, BUCKETS, seed=1))


def test_leaving_early_ends_the_thread(store: TokenStore) -> None:
    import threading

    for loaded in Loader(store, BUCKETS, seed=12, depth=1):
        assert loaded.num_tokens
        break
    assert not any(thread.name == "modelyard-ahead" and thread.is_alive() for thread in threading.enumerate())


def test_a_feed_made_ahead_gives_the_feeds_own_batches_wherever_it_is_asked() -> None:
    ids = [[row % 90] * (1 + row % 17) for row in range(70)]
    rows = batching.token_rows(ids, 0, np.arange(70) % 2, [f"r{row}" for row in range(70)])
    plan = loop.Plan(epochs=2, batch_size=8, learning_rate=0.1, accumulation=2)
    feed = classification.RowFeed(rows, np.ones(70, np.float32), plan, torch.device("cpu"))
    ahead = FeedAhead(feed)
    places = [(0, 0), (0, 1), (0, 2), (1, 4), (1, 0), (0, 4), (1, 0)]
    for epoch, position in places:
        for mine, theirs in zip(ahead.step(epoch, position), feed.step(epoch, position), strict=True):
            assert mine.names == theirs.names
            assert mine.weight == theirs.weight
            for name in theirs.inputs:
                assert torch.equal(mine.inputs[name], theirs.inputs[name])
    ahead.close()
