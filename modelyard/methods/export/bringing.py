"""A model trained elsewhere as a model folder of ours: its bytes are copied, what it says of itself is checked.

Only what is needed is copied (weights, configuration, tokenizer), into fresh files; the copy is then checked like any
model folder. Pickles are refused unread, since reading one runs it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.export import foreign_onnx
from modelyard.methods.preprocessing import tokens
from modelyard.methods.runtimes import load
from modelyard.methods.runtimes.golden import write_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.validation import check, read_json, refuse, safetensors_problems
from modelyard.methods.tasks import text_classification

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")
PRECISIONS = {"F32": "fp32", "BF16": "bf16", "F16": "fp16"}
MAX_LENGTH = 512
"""Tokens read of a text, if neither the settings nor the model say."""

POSITIONS_OFFSET = {"roberta": 2, "xlm-roberta": 2, "camembert": 2}
"""Families whose positions count from the padding id on, and so have fewer than the table has rows."""

EXAMPLES = (
    "Good.",
    "很好。",
    "The room was clean and the staff were friendly.",
    "东西收到了，质量一般，物流很慢。",
    "I would not buy this again; it broke after two days and nobody answered my messages.",
    "请问什么时候发货？我已经等了一个星期。",
    "12345 !?",
    "a",
)
"""Texts of the golden answers, since no data comes with the model."""


@dataclass(frozen=True)
class Wishes:
    """What the user says about the model; None takes what the model says.

    Attributes:
        labels: names in the order of the logits.
        max_length: tokens of a text that are read.
        licence: SPDX expression.
        tokenizer: path of tokenizer.json, if it is not beside the weights.
        source: what to write into the provenance: the path or hub id as the user wrote it, and the commit.
    """

    labels: tuple[str, ...] | None = None
    max_length: int | None = None
    licence: str = "unknown"
    tokenizer: Path | None = None
    source: Mapping[str, Any] | None = None


def bring(found: Path, target: Path, wishes: Wishes) -> list[str]:
    """Fill the empty folder `target` from a Hugging Face folder or an ONNX file; returns notes for the user.

    Raises:
        InputError: the model cannot be brought; the error says why and what to do.
    """
    if found.is_dir() and not (found / "config.json").is_file() and (found / "model.onnx").is_file():
        found = found / "model.onnx"
    notes: list[str] = []
    if found.is_dir():
        card = _bring_folder(found, target, wishes, notes)
    elif found.suffix.lower() == ".onnx":
        card = _bring_onnx(found, target, wishes, notes)
    else:
        raise _unreadable(found)
    refuse(check(target, card))
    card.write(target)
    load(target).close()
    write_golden(target, [{text_classification.FIELD: text} for text in EXAMPLES])
    return notes


def _unreadable(found: Path) -> InputError:
    if found.suffix.lower() in PICKLES:
        return _pickle(found)
    return InputError(
        t("`{name}` is no model that can be read", name=found.name),
        where=str(found),
        expected=t("a Hugging Face folder with model.safetensors, or an ONNX file"),
    )


def _pickle(path: Path) -> InputError:
    return InputError(
        t("`{name}` is a pickle, and reading a pickle runs the code in it", name=path.name),
        where=str(path),
        expected="model.safetensors",
        remedy=t(
            "convert it in a place you trust: AutoModel….from_pretrained(…).save_pretrained(…) writes safetensors"
        ),
    )


def _bring_folder(found: Path, target: Path, wishes: Wishes, notes: list[str]) -> ModelCard:
    _copy_weights(found, target)
    refuse(safetensors_problems(target))
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        source = wishes.tokenizer if name == "tokenizer.json" and wishes.tokenizer else found / name
        if source.is_file():
            copy(source, target / name, found)
    config = read_config(target, found)
    labels = _labels(config, wishes, found, notes)
    settings = _tokenizer_settings(target, found, wishes.max_length, config, notes)
    return _card("hf", labels, settings, wishes, PRECISIONS.get(_dtype(target), "unknown"))


def _copy_weights(found: Path, target: Path) -> None:
    index = found / "model.safetensors.index.json"
    if (found / "model.safetensors").is_file():
        copy(found / "model.safetensors", target / "model.safetensors", found)
    elif index.is_file():
        _merge_shards(found, index, target)
    else:
        pickles = sorted(path for path in found.iterdir() if path.suffix.lower() in PICKLES)
        if pickles:
            raise _pickle(pickles[0])
        raise InputError(t("no weights in the folder"), where=str(found), expected="config.json, model.safetensors")


def _merge_shards(found: Path, index: Path, target: Path) -> None:
    """One file from several: every other step reads `model.safetensors`."""
    from safetensors.numpy import load_file, save_file

    names = sorted(set(read_json(index).get("weight_map", {}).values()))
    tensors: dict[str, Any] = {}
    for name in names:
        shard = target / Path(name).name
        copy(found / Path(name).name, shard, found)
        refuse(safetensors_problems(target))
        tensors |= load_file(shard)
        shard.unlink()
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})


def copy(source: Path, target: Path, root: Path) -> None:
    """A fresh regular file with the bytes of `source`. A link may stay inside `root`, or lead into the blobs of the
    hub's cache beside it, and nowhere else."""
    real = source.resolve()
    blobs = root.resolve().parent.parent / "blobs"
    if source.is_symlink() and not (real.is_relative_to(root.resolve()) or real.parent == blobs):
        raise InputError(
            t("`{name}` is a link that leaves the folder", name=source.name),
            where=str(source),
            expected=t("a regular file"),
            remedy=t("copy the file itself"),
        )
    if not real.is_file():
        raise InputError(t("`{name}` is missing", name=source.name), where=str(root), expected=t("a regular file"))
    shutil.copyfile(real, target)


def read_config(target: Path, found: Path) -> dict[str, Any]:
    """config.json of a single-label text classifier. Raises InputError if it is another kind of model."""
    path = target / "config.json"
    if not path.is_file():
        raise InputError(t("no config.json in the folder"), where=str(found), expected=t("a Hugging Face folder"))
    config: Any = read_json(path)
    names = config.get("architectures") if isinstance(config, dict) else None
    kind = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else "nothing"
    if not kind.endswith("ForSequenceClassification"):
        raise InputError(
            t("the folder holds {kind}", kind=kind),
            where=str(found / "config.json"),
            expected=t("a text classifier (…ForSequenceClassification)"),
            remedy=t("a base model is a start for train.text_classification (`base: <folder>`), not a classifier"),
        )
    if config.get("problem_type") not in (None, "single_label_classification"):
        raise InputError(
            t("the model solves `{problem}`", problem=config["problem_type"]),
            where=str(found / "config.json"),
            expected="single_label_classification",
        )
    result: dict[str, Any] = config
    return result


def _labels(config: Mapping[str, Any], wishes: Wishes, found: Path, notes: list[str]) -> tuple[str, ...]:
    named = config.get("id2label") or {}
    own = tuple(str(named[key]) for key in sorted(named, key=int)) if all(str(k).isdigit() for k in named) else ()
    if own and sorted(map(int, named)) != list(range(len(own))):
        own = ()
    if wishes.labels is not None:
        if own and len(own) != len(wishes.labels):
            raise InputError(
                t(
                    "{found} labels in the settings, {expected} in the model",
                    found=len(wishes.labels),
                    expected=len(own),
                ),
                where="labels",
                expected=", ".join(own),
            )
        return wishes.labels
    if not own:
        raise InputError(
            t("the model does not name its labels"),
            where=str(found / "config.json"),
            expected="id2label",
            remedy=t("give them, in the order of the logits: `labels: [negative, positive]`"),
        )
    if own[0] == "LABEL_0":
        notes.append(t("the model calls its labels {labels}; `labels` gives them names", labels=", ".join(own)))
    return own


def _tokenizer_settings(
    target: Path, found: Path, wanted: int | None, config: Mapping[str, Any], notes: list[str]
) -> dict[str, Any]:
    """The `tokens` preprocessing for the tokenizer.json in `target`."""
    if not (target / tokens.FILE).is_file():
        raise InputError(
            t("no tokenizer.json with the model"),
            where=str(found),
            expected="tokenizer.json",
            remedy=t("make it where transformers runs: AutoTokenizer.from_pretrained(…).save_pretrained(…)"),
        )
    positions = config.get("max_position_embeddings")
    limit = int(positions) - POSITIONS_OFFSET.get(str(config.get("model_type")), 0) if positions else None
    max_length = wanted or min(limit or MAX_LENGTH, MAX_LENGTH)
    if limit and max_length > limit:
        notes.append(t("the model has {limit} positions: texts are cut there", limit=limit))
        max_length = limit
    pad = config.get("pad_token_id")
    tokenizer = tokens.load(target, {"tokenizer": tokens.FILE, "max_length": max_length, "pad_id": pad or 0})
    known = tokenizer.tokenizer.get_vocab(with_added_tokens=True)
    rows = config.get("vocab_size")
    if rows and known and max(known.values()) >= int(rows):
        raise InputError(
            t("the tokenizer has ids up to {found}, the model {rows} rows", found=max(known.values()), rows=rows),
            where=str(found),
            expected=t("a tokenizer and a model that belong together"),
        )
    notes.append(t("texts are cut at {max_length} tokens", max_length=max_length))
    return tokenizer.spec()


def _dtype(target: Path) -> str:
    """The type most tensors of the weights have."""
    with (target / "model.safetensors").open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    kinds = [entry["dtype"] for name, entry in header.items() if name != "__metadata__"]
    return max(sorted(set(kinds)), key=kinds.count) if kinds else ""


def _bring_onnx(found: Path, target: Path, wishes: Wishes, notes: list[str]) -> ModelCard:
    if not wishes.labels:
        raise InputError(
            t("an ONNX file does not name its labels"),
            where="labels",
            expected=t("one name for each score"),
            remedy=t("give them, in the order of the logits: `labels: [negative, positive]`"),
        )
    copy(found, target / "model.onnx", found.parent)
    foreign_onnx.adapt(target / "model.onnx", found, notes)
    source = wishes.tokenizer or found.with_name(tokens.FILE)
    if source.is_file():
        copy(source, target / tokens.FILE, source.parent)
    beside = found.with_name("config.json")
    config = read_json(beside) if beside.is_file() else {}
    settings = _tokenizer_settings(target, found.parent, wishes.max_length, config, notes)
    return _card("onnx", wishes.labels, settings, wishes, foreign_onnx.precision(target / "model.onnx"))


def _card(
    format: str, labels: Sequence[str], preprocessing: Mapping[str, Any], wishes: Wishes, precision: str
) -> ModelCard:
    return ModelCard(
        task=text_classification.NAME,
        format=format,
        labels=tuple(labels),
        preprocessing=dict(preprocessing),
        inputs={text_classification.FIELD: {"type": "string", "shape": []}},
        outputs={"scores": {"type": "float32", "shape": [len(labels)]}},
        provenance={"stage": "model.read", **(wishes.source or {})},
        licence=wishes.licence,
        precision=precision,
    )
