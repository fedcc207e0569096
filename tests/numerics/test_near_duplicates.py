"""MinHash, banding and exact comparison against closed forms and slow references in plain Python."""

from __future__ import annotations

import random
import string
import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.methods.data.duplicates import candidates, folding, graph, images, ragged
from modelyard.methods.data.duplicates.banding import Banding, choose
from modelyard.methods.data.duplicates.exact import ShingleSets
from modelyard.methods.data.duplicates.minhash import Sketcher, estimate
from modelyard.methods.data.duplicates.shingles import Shingles, fingerprints, shingles
from modelyard.methods.data.text import normalized


def folded_texts(texts: list[str]) -> list[str]:
    folded = folding.collapse(folding.fold(pa.array(texts, pa.string())))
    cuts = zip(folded.starts[:-1], folded.starts[1:], strict=True)
    return [folded.points[start:end].tobytes().decode("utf-32-le") for start, end in cuts]


def pairs_of_sets(num: int, size: int, similarity: float, seed: int = 0) -> tuple[Shingles, float]:
    """`num` pairs (rows 2i and 2i + 1) of sets of `size` random hashes, and their exact Jaccard similarity."""
    shared = round(2 * size * similarity / (1 + similarity))
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(num):
        every = draw.integers(0, 1 << 64, 2 * size - shared, dtype=np.uint64)
        rows += [every[:size], np.concatenate([every[:shared], every[size:]])]
    starts = np.arange(2 * num + 1) * size
    return Shingles(np.concatenate(rows), starts, np.diff(starts)), shared / (2 * size - shared)


def slow_shingles(text: str, unit: str, n: int) -> set[tuple[str, ...]]:
    if unit == "characters":
        units = list(normalized(text))
    else:
        kinds = folding.fold(pa.array([normalized(text)], pa.string())).kinds.tolist()
        units, before = [], folding.SEPARATOR
        for character, kind in zip(normalized(text), kinds, strict=True):
            if kind == folding.PART and before == folding.PART:
                units[-1] += character
            elif kind != folding.SEPARATOR:
                units.append(character)
            before = kind
    if not units:
        return set()
    return {tuple(units[start : start + n]) for start in range(max(1, len(units) - n + 1))}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=6))
def test_folding_a_batch_is_normalizing_each_text(texts: list[str]) -> None:
    sound = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts]
    assert folded_texts(sound) == [normalized(text) for text in sound]


def test_every_character_folds_as_it_is_normalized_alone_and_between_letters() -> None:
    points = [point for point in range(0x30000) if not 0xD800 <= point < 0xE000]
    for around in ("", "a", "가", "か"):
        texts = [around + chr(point) + around for point in points]
        assert folded_texts(texts) == [normalized(text) for text in texts]


def test_letters_marks_and_numbers_make_words_and_symbols_and_han_stand_alone() -> None:
    kinds = folding.fold(pa.array(["a1_é字か🙂 ,."], pa.string())).kinds.tolist()
    assert kinds == [folding.PART] * 4 + [folding.WHOLE] * 3 + [folding.SEPARATOR] * 3
    assert unicodedata.category("🙂") == "So"


@pytest.mark.parametrize("unit", ["characters", "words"])
@settings(max_examples=150, deadline=None)
@given(texts=st.lists(st.text("ab 字詞,é…\u0301🙂", max_size=25), min_size=1, max_size=5), n=st.integers(1, 6))
def test_two_texts_share_hashes_exactly_where_they_share_shingles(unit: str, texts: list[str], n: int) -> None:
    found = shingles(folding.fold(pa.array(texts, pa.string())), unit, n)  # type: ignore[arg-type]
    sets = [set(found.hashes[start:end].tolist()) for start, end in zip(found.starts, found.starts[1:], strict=False)]
    slow = [slow_shingles(text, unit, n) for text in texts]
    for mine, theirs, reference, other in zip(sets, sets[1:], slow, slow[1:], strict=False):
        assert len(mine & theirs) == len(reference & other)
        assert len(mine | theirs) == len(reference | other)


def test_a_text_has_the_same_hashes_wherever_it_stands_in_a_batch() -> None:
    texts = ["one two three", "", "一二三四五六七", "x", "one two three"]
    for unit in ("characters", "words"):
        together = shingles(folding.fold(pa.array(texts)), unit, 5)  # type: ignore[arg-type]
        prints = fingerprints(together)
        assert (prints[0] == prints[4]).all()
        for row, text in enumerate(texts):
            alone = shingles(folding.fold(pa.array([text])), unit, 5)  # type: ignore[arg-type]
            mine = together.hashes[together.starts[row] : together.starts[row + 1]]
            assert mine.tolist() == alone.hashes.tolist()


@pytest.mark.parametrize("size", [5, 12, 60, 700])
@pytest.mark.parametrize("similarity", [0.3, 0.8])
def test_minhash_estimates_are_unbiased_and_as_sharp_as_the_binomial(size: int, similarity: float) -> None:
    found, exact = pairs_of_sets(400, size, similarity)
    banding = Banding(16, 8)
    minima = Sketcher(banding, seed=3).minima(found)
    estimates = np.array([estimate(minima, 2 * pair, 2 * pair + 1) for pair in range(400)])
    binomial = exact * (1 - exact) / (banding.bands * banding.rows)
    assert abs(estimates.mean() - exact) < 4.5 * np.sqrt(estimates.var() / 400) + 1e-9
    # Of few shingles the bins of a pass share minima: at most a pass is one draw.
    assert estimates.var() < 1.35 * (binomial if size >= 60 else exact * (1 - exact) / banding.rows)


@pytest.mark.parametrize("banding", [Banding(16, 7), Banding(32, 4)])
@pytest.mark.parametrize(("size", "similarity"), [(8, 0.78), (40, 0.8), (300, 0.6), (300, 0.4), (120, 0.9)])
def test_candidates_come_as_often_as_the_closed_form_of_banding_says(
    banding: Banding, size: int, similarity: float
) -> None:
    num = 1_500
    found, exact = pairs_of_sets(num, size, similarity, seed=size)
    keys = Sketcher(banding, seed=5).keys(found)
    share = (keys[:, 0::2] == keys[:, 1::2]).any(axis=0).mean()
    expected = banding.probability(exact)
    # Bands of short texts are a little alike: a few hundredths at most.
    slack = 0.035 if size < 20 else 0.0
    assert abs(share - expected) < 4.5 * np.sqrt(expected * (1 - expected) / num) + slack + 0.005


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("bands", [16, 32, 64])
def test_the_banding_chosen_is_the_most_selective_that_reaches_the_recall(threshold: float, bands: int) -> None:
    chosen = choose(threshold, bands, 0.95)
    assert chosen.probability(threshold) >= 0.95
    assert chosen.rows == 32 or Banding(bands, chosen.rows + 1).probability(threshold) < 0.95


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 40), max_size=30), min_size=1, max_size=8))
def test_distinct_sorts_each_row_and_drops_repeats(rows: list[list[int]]) -> None:
    values = np.array([value for row in rows for value in row], np.uint32)
    starts = np.cumsum([0, *map(len, rows)])
    found, ends = ragged.distinct(values, starts)
    cuts = pairwise(ends.tolist())
    assert [found[start:end].tolist() for start, end in cuts] == [sorted(set(row)) for row in rows]


def test_the_exact_similarity_is_that_of_python_sets(tmp_path: Path) -> None:
    chance = random.Random(0)
    rows = [
        [chance.randrange((1 << 32) - 1) for _ in range(chance.choice([1, 5, 8, 9, 100, 5_000]))] for _ in range(20)
    ]
    for row in rows[1:]:
        row += chance.sample(rows[0], len(rows[0]) // 2) * 2
    rows[4] = list(dict.fromkeys([*rows[4], *range(7, 107)]))
    rows[5] = rows[4][: -(-len(rows[4]) * 4 // 5)]  # at the threshold below, and as far apart in size as can be
    places = np.arange(20, dtype=np.int32) * 3
    sets = ShingleSets(tmp_path / "sets", places)
    for start in (0, 7):
        part = rows[start : 7 if start == 0 else 20]
        values = np.array([value for row in part for value in row], np.uint32)
        sets.add(*ragged.distinct(values, np.cumsum([0, *map(len, part)])))
    sets.seal()
    firsts, seconds = (part.astype(np.int32) for part in np.triu_indices(20, 1))
    found = sets.similarity(places[firsts], places[seconds])
    exact = [
        len(set(rows[first]) & set(rows[second])) / len(set(rows[first]) | set(rows[second]))
        for first, second in zip(firsts, seconds, strict=True)
    ]
    assert found.tolist() == pytest.approx(exact, abs=1e-12)
    skipped = sets.similarity(places[firsts], places[seconds], threshold=0.8)
    assert sum(0.8 <= value < 0.82 for value in found) == 1
    assert [value for value in skipped if value >= 0.8] == [value for value in found if value >= 0.8]
    sets.close()
    assert not list(tmp_path.iterdir())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=40), st.integers(4, 9))
def test_pairs_are_all_pairs_of_equal_keys_up_to_the_limit(keys: list[int], limit: int) -> None:
    rows = np.arange(len(keys), dtype=np.int32)
    found = candidates.buckets(np.array(keys, np.uint32), rows)
    mine = set(zip(*(part.tolist() for part in candidates.unique(*candidates.pairs(found, limit))), strict=True))
    every = {(i, j) for j in range(len(keys)) for i in range(j) if keys[i] == keys[j]}
    assert mine <= every
    assert mine >= {(i, j) for i, j in every if keys.count(keys[i]) <= limit}
    assert {row for pair in mine for row in pair} == {row for pair in every for row in pair}


@settings(max_examples=60, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11))), st.permutations(range(12)))
def test_leaders_are_those_a_loop_by_rank_would_keep(pairs: set[tuple[int, int]], ranks: list[int]) -> None:
    clean = sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})
    firsts, seconds = (np.array([pair[end] for pair in clean], np.int64) for end in (0, 1))
    edges = graph.Edges(firsts, seconds, np.ones(len(clean)))
    kept: set[int] = set()
    for node in sorted(range(12), key=ranks.__getitem__):
        if not any((min(node, other), max(node, other)) in clean for other in kept):
            kept.add(node)
    found = graph.leaders(np.ones(12, dtype=bool), edges, np.array(ranks))
    assert set(np.flatnonzero(found).tolist()) == kept


@pytest.mark.parametrize("distance", [0, 1, 4, 7])
def test_all_hashes_within_the_distance_are_found(distance: int) -> None:
    draw = np.random.default_rng(distance)
    base = draw.integers(0, 1 << 64, 60, dtype=np.uint64)
    near = [
        int(value) ^ sum(1 << int(bit) for bit in draw.choice(64, k, replace=False))
        for value in base
        for k in (1, 4, 6, 9)
    ]
    hashes = np.concatenate([base, np.array(near, np.uint64)])
    firsts, seconds, uncompared = images.near_hashes(hashes, np.arange(len(hashes), dtype=np.int32), distance)
    slow = {
        (i, j)
        for j in range(len(hashes))
        for i in range(j)
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= distance
    }
    assert set(zip(firsts.tolist(), seconds.tolist(), strict=True)) == slow
    assert uncompared == 0


def test_hostile_texts_have_shingles_or_none_but_never_fail() -> None:
    long = "".join(random.Random(1).choices(string.ascii_lowercase + " ", k=1 << 20))
    texts = [
        "",
        " ",
        "a",
        "🙂",
        "🙂🙂\u200d🙂",
        "\u0301",
        "…",
        "。。。",
        "\x00\x00",
        "ﷺ" * 50,
        "가\u11a8" * 30,
        long,
        None,
    ]
    for unit in ("characters", "words"):
        found = shingles(folding.fold(pa.array(texts, pa.string())), unit, 5)  # type: ignore[arg-type]
        assert len(found.starts) == len(texts) + 1
        assert found.starts[-1] == len(found.hashes)
        sizes = np.diff(found.starts)
        assert [bool(size) for size in sizes[[0, 1, 2, 3, -1]]] == [False, False, True, True, False]
        keys = Sketcher(Banding(16, 7)).keys(found)
        assert keys.shape == (16, len(texts))
