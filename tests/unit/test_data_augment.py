"""Augmented copies: of train alone, by row and seed alone, and never what must not change."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.divided import divided
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.data.augmentation import images, lexicon
from modelyard.methods.data.augmentation.images import ImageChanges
from modelyard.methods.data.augmentation.text import TextChanges, change_text, change_words, replaceable
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.row_random import generator
from modelyard.stages.data.augment import Config, fingerprint, run

REVIEW = "这家酒店的服务态度很热情，房间干净，电话13800138000，推荐！"
MAIL = "The delivery was not quick, but the product is really good. Mail a.b@c.com or see https://x.cn/good?a=1"
EVERYTHING = TextChanges(0.5, 0.3, 0.3, 0.3, 0.3)


def augmented(root: Path, source: Path, seed: int = 0, **values: Any) -> tuple[Dataset, FakeContext]:
    context = FakeContext(root, {"data": source}, seed=seed, base=root)
    run(Config(**values), context)
    return Dataset.open(root / "outputs" / "data"), context


def texts(path: Path, values: list[str], labels: list[str] | None = None, order: Any = None) -> Path:
    columns = {
        "text": ("text", pa.array(values)),
        "label": ("label", pa.array(labels or ["a", "b"] * (len(values) // 2))),
    }
    return divided(path, columns, validation=2, order=order)


def pictures(path: Path, labels: list[str]) -> Path:
    draw = np.random.default_rng(0)
    encoded = [images.encode(torch.tensor(draw.random((3, 12, 10)), dtype=torch.float32)) for _ in labels]
    shares = [json.dumps({label: 1.0}) for label in labels]
    columns = {"image": ("image", pa.array(encoded)), "label": ("label", pa.array(labels))}
    return divided(path, {**columns, "shares": ("soft_label", pa.array(shares))}, validation=2)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80), st.integers(0, 1000))
def test_no_text_breaks_it_and_equal_draws_give_equal_texts(text: str, seed: int) -> None:
    changed = [change_text(text, EVERYTHING, generator(seed, "t", "row")) for _ in range(2)]
    assert changed[0] == changed[1]
    assert bool(changed[0].strip()) == bool(text.strip())


@pytest.mark.parametrize("seed", range(20))
def test_negations_numbers_addresses_and_links_stay(seed: int) -> None:
    changed = change_text(MAIL, EVERYTHING, generator(seed, "t", "row"))
    assert changed.split().count("not") == 1
    assert "a.b@c.com" in changed
    assert "https://x.cn/good?a=1" in changed
    chinese = change_text("不好吃，没味道，房间9间", EVERYTHING, generator(seed, "t", "row"))
    assert (chinese.count("不"), chinese.count("没"), chinese.count("9")) == (1, 1, 1)
    assert "13800138000" in change_text(REVIEW, EVERYTHING, generator(seed, "t", "row"))


def test_a_chinese_text_of_100000_characters_is_cut_by_looking_at_each_a_few_times() -> None:
    """To look ahead to the end at each character took hours."""
    found = replaceable("坏" * 100_000 + "1 and happy", lexicon.built_in())
    assert [word for _, word, _ in found] == ["happy"]
    mixed = "看a坏1@x ok.坏b@c 坏http://坏 坏é2坏"
    assert (
        change_words(mixed, 1.0, lambda word, rng: "_", generator(0, "r", "t")) == "看a坏1@x ok.坏b@c _http://坏 _é2_"
    )
    shorter = change_text("坏" * 100_000, TextChanges(synonyms=0, delete=0.3), generator(0, "r", "t"))
    assert len(shorter) == 70_000


def test_synonyms_keep_case_and_come_from_the_group() -> None:
    found = {change_text("Good GOOD good", TextChanges(1.0), generator(seed, "t", "row")) for seed in range(40)}
    words = {word for text in found for word in text.split()}
    assert words == {w for s in ("great", "fine", "nice") for w in (s, s.upper(), s.capitalize())}
    assert change_text("酒店", TextChanges(1.0), generator(0, "t", "row")) in ("宾馆", "旅馆")


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_a_share_of_the_words_is_changed(share: float) -> None:
    text = " ".join(["quickly"] * 40)
    changed = [
        change_text(text, TextChanges(share), generator(seed, "t", "row")).split().count("quickly")
        for seed in range(30)
    ]
    assert np.mean(changed) == pytest.approx(40 * (1 - share), abs=0.2)


def test_deleting_leaves_a_word_and_swapping_leaves_all() -> None:
    assert change_text("one two", TextChanges(0, delete=1.0), generator(0, "t", "r")).strip() in ("one", "two")
    swapped = change_text("one two three four", TextChanges(0, swap=0.5), generator(0, "t", "r"))
    assert sorted(swapped.split()) == ["four", "one", "three", "two"]
    assert swapped != "one two three four"


def test_slips_of_the_pen_sound_or_look_alike() -> None:
    for seed in range(30):
        changed = change_text("未", TextChanges(0, noise=1.0), generator(seed, "t", "r"))
        assert changed == "未"  # it negates
        changed = change_text("己", TextChanges(0, noise=1.0), generator(seed, "t", "r"))
        assert changed in lexicon.similar_glyphs()["己"] + lexicon.homophones()["己"]
        letter = change_text("a", TextChanges(0, noise=1.0), generator(seed, "t", "r"))
        assert letter in "qwsz"


def test_keys_that_touch_are_neighbours_both_ways() -> None:
    keys = lexicon.neighbouring_keys()
    assert set(keys["g"]) == set("fhtyvb")
    assert all(key in keys[other] for key, near in keys.items() for other in near)


def test_homophones_read_alike() -> None:
    from pypinyin import Style, lazy_pinyin

    for character, others in list(lexicon.homophones().items())[::97]:
        readings = {lazy_pinyin(c, style=Style.NORMAL)[0] for c in character + others}
        assert len(readings) == 1


def test_copies_follow_their_row_and_validation_is_untouched(tmp_path: Path) -> None:
    source = texts(tmp_path / "in", [REVIEW, MAIL] * 4)
    data, context = augmented(tmp_path / "a", source, copies=2)
    assert data.column("train", "row_id")[:6] == ["r0", "r0+1", "r0+2", "r1", "r1+1", "r1+2"]
    rows = {row["row_id"]: row for row in data.table("train").to_pylist()}
    assert len(rows) == 18
    assert all(row["label"] == rows[name.partition("+")[0]]["label"] for name, row in rows.items())
    assert all(row["text"] != rows[name.partition("+")[0]]["text"] for name, row in rows.items() if "+" in name)
    assert data.table("validation").equals(Dataset.open(source).table("validation"))
    assert "12 rows were added (augmented 12)" in context.said[-1]
    removed = Dataset.open(tmp_path / "a" / "outputs" / "removed")
    assert set(removed.column("all", "action")) == {"added"}


def test_a_copy_does_not_depend_on_other_rows_or_their_order(tmp_path: Path) -> None:
    values = [f"{REVIEW} {word}" for word in ("好", "快", "美观", "价格", "质量", "物流")]
    one, _ = augmented(tmp_path / "a", texts(tmp_path / "one", values))
    other, _ = augmented(tmp_path / "b", texts(tmp_path / "other", values, order=[3, 1, 2, 0, 4, 5]))
    by_id = [
        dict(zip(data.column("train", "row_id"), data.column("train", "text"), strict=True)) for data in (one, other)
    ]
    assert by_id[0] == by_id[1]
    again, _ = augmented(tmp_path / "c", texts(tmp_path / "three", values), seed=1)
    assert again.column("train", "text") != one.column("train", "text")


def test_small_classes_grow_until_they_are_as_large(tmp_path: Path) -> None:
    source = texts(tmp_path / "in", [REVIEW] * 14, ["many"] * 9 + ["few"] * 3 + ["many"] * 2)
    data, _ = augmented(tmp_path / "a", source, equal=True, text={"synonyms": 0.5})
    labels = data.column("train", "label")
    assert (labels.count("many"), labels.count("few")) == (9, 9)


def test_augmenting_three_times_gives_every_row_an_id_of_its_own(tmp_path: Path) -> None:
    source = texts(tmp_path / "in", [f"{REVIEW} 价格 质量 {n}" for n in range(6)])
    for turn in range(3):
        data, _ = augmented(tmp_path / str(turn), source, seed=turn)
        source = data.path
        ids = data.column("train", "row_id")
        assert len(set(ids)) == len(ids) == 4 * 2 ** (turn + 1)


def test_rows_in_which_nothing_can_change_are_said(tmp_path: Path) -> None:
    data, context = augmented(tmp_path / "a", texts(tmp_path / "in", ["12345", "不不", "!!", "a@b.cn"]))
    assert data.num_rows("train") == 2
    assert "2 copies were not made" in context.said[0]


def test_own_synonyms_are_used_and_part_of_the_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "a" / "mine.txt"
    file.parent.mkdir()
    file.write_text("# 行业词\n锂电池 电芯\n", encoding="utf-8")
    source = texts(tmp_path / "in", ["锂电池 不错", "锂电池 好"] * 2)
    data, _ = augmented(tmp_path / "a", source, synonyms="mine.txt", text={"synonyms": 1.0})
    assert data.column("train", "text")[1] == "电芯 不错"
    before = fingerprint(Config(synonyms="mine.txt"), tmp_path / "a")
    file.write_text("锂电池 电池\n", encoding="utf-8")
    assert fingerprint(Config(synonyms="mine.txt"), tmp_path / "a") != before
    file.write_text("孤单\n", encoding="utf-8")
    with pytest.raises(InputError, match=re.escape("one word alone has no synonym")) as caught:
        augmented(tmp_path / "a", source, synonyms="mine.txt")
    assert caught.value.problems[0].where == "mine.txt:1"


def test_an_image_is_changed_alike_alone_and_in_any_batch() -> None:
    batch = torch.rand(5, 3, 16, 20, generator=torch.Generator().manual_seed(0))
    changes = ImageChanges(0.3, 0.5, 0.2, 20, 0.2, 0.3, 0.5)
    together = images.change_images(batch, changes, [generator(0, "i", str(n)) for n in range(5)])
    alone = [images.change_images(batch[n : n + 1], changes, [generator(0, "i", str(n))]) for n in range(5)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)
    assert together.shape == batch.shape
    assert 0 <= together.min() <= together.max() <= 1
    assert (together - batch).abs().mean() > 0.02


def test_no_change_is_no_change_and_a_flip_is_a_mirror() -> None:
    batch = torch.rand(2, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    draws = [generator(0, "i", str(n)) for n in range(2)]
    torch.testing.assert_close(images.change_images(batch, ImageChanges(), draws), batch, atol=1e-5, rtol=0)
    draws = [generator(0, "i", str(n)) for n in range(2)]
    torch.testing.assert_close(
        images.change_images(batch, ImageChanges(flip=1), draws), batch.flip(-1), atol=1e-5, rtol=0
    )


def test_a_crop_shows_a_part_of_the_image_only() -> None:
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 40), torch.linspace(0, 1, 40), indexing="ij")
    batch = torch.stack([rows, columns, rows * 0])[None]
    found = images.change_images(batch, ImageChanges(crop=0.6), [generator(3, "i", "a")])
    assert found[0, 0].min() >= 0
    seen = (found[0, 0].max() - found[0, 0].min()) * (found[0, 1].max() - found[0, 1].min())
    share = 1 - generator(3, "i", "a").uniform(size=8)[4] * 0.6
    assert seen.item() == pytest.approx(share, abs=0.06)


def test_mixtures_follow_their_formulas_and_labels_the_pixels() -> None:
    one, other = torch.zeros(2, 1, 10, 10), torch.ones(2, 1, 10, 10)
    torch.testing.assert_close(images.mixup(one, other, [0.7, 0.5]).mean((1, 2, 3)), torch.tensor([0.3, 0.5]))
    found, shares = images.cutmix(one, other, [0.75, 0.5], [generator(0, "c", str(n)) for n in range(2)])
    assert [1 - image.mean().item() for image in found] == pytest.approx(shares, abs=1e-6)
    assert shares == pytest.approx([0.75, 0.5], abs=0.06)


@pytest.mark.parametrize("mix", ["none", "mixup", "cutmix"])
def test_images_get_copies_and_mixtures_a_soft_label(tmp_path: Path, mix: str) -> None:
    source = pictures(tmp_path / "in", ["cat", "dog"] * 4)
    data, _ = augmented(tmp_path / "a", source, mix=mix, alpha=1.0)
    rows = data.table("train").to_pylist()
    assert len(rows) == 12
    copies = [row for row in rows if "+" in row["row_id"]]
    assert all(images.decode(row["image"]).shape == (3, 12, 10) for row in copies)
    shares = [json.loads(row["shares"]) for row in copies]
    assert all(sum(found.values()) == pytest.approx(1, abs=1e-5) for found in shares)
    assert any(len(found) == 2 for found in shares) == (mix != "none")
    assert all(row["label"] == max(sorted(found), key=found.get) for row, found in zip(copies, shares, strict=True))
    again, _ = augmented(tmp_path / "b", source, mix=mix, alpha=1.0)
    assert again.table("train").equals(data.table("train"))


def test_back_translation_goes_there_and_back_by_two_model_folders(tmp_path: Path) -> None:
    from support.small_translator import translator

    source = texts(tmp_path / "in", ["hello world", "good day"] * 2)
    for name, seed in (("there", 0), ("back", 1)):
        translator(tmp_path / "a" / name, seed)
    one, _ = augmented(tmp_path / "a", source, there="there", back="back", copies=2)
    rows = one.table("train").to_pylist()
    assert [row["row_id"] for row in rows][:2] == ["r0", "r0+1"]
    of_first = [row["text"] for row in rows if row["row_id"].startswith("r0")]
    assert len(set(of_first)) == len(of_first)
    (tmp_path / "a" / "empty").mkdir()
    with pytest.raises(InputError, match="no translation model"):
        augmented(tmp_path / "a", source, there="empty", back="back")
