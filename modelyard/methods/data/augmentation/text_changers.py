"""The ways texts of rows are changed: by rules, or through another language and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.augmentation.copies import Row
from modelyard.methods.data.augmentation.lexicon import Lexicon
from modelyard.methods.data.augmentation.text import TextChanges, change_text
from modelyard.methods.data.dataset import ROW_ID
from modelyard.methods.data.row_random import generator

if TYPE_CHECKING:
    from torch import Tensor

PURPOSE = "augment"
TRIES = 4
MAX_TOKENS = 512
MARGIN = 16


@dataclass(frozen=True)
class TextChanger:
    """Changes the text of each row by rules; tries a few times before it says that nothing can be changed."""

    changes: TextChanges
    lexicon: Lexicon | None
    seed: int
    text: str

    def __call__(self, rows: Sequence[Row], numbers: Sequence[int]) -> list[Row | None]:
        return [self._one(row, number) for row, number in zip(rows, numbers, strict=True)]

    def _one(self, row: Row, number: int) -> Row | None:
        before = row[self.text] or ""
        for attempt in range(TRIES):
            draw = generator(self.seed, PURPOSE, row[ROW_ID], number, attempt)
            after = change_text(before, self.changes, draw, self.lexicon)
            if after != before:
                return {**row, self.text: after}
        return None


class BackTranslation:
    """Texts through another language and back (Sennrich et al. 2016), by two sequence-to-sequence model folders.

    Decoding samples nothing: the first copy is the best beam, the second copy the next best, so at most `beams`.

    Raises:
        InputError: a folder holds no sequence-to-sequence model.
    """

    def __init__(self, there: Path, back: Path, text: str, beams: int = 4) -> None:
        self._models = [_load(there), _load(back)]
        self._text = text
        self._beams = beams

    def __call__(self, rows: Sequence[Row], numbers: Sequence[int]) -> list[Row | None]:
        if not rows:
            return []
        foreign = self._translate(0, [row[self._text] or "" for row in rows], 1)
        ranked = self._translate(1, [found[0] for found in foreign], self._beams)
        made: list[Row | None] = []
        for row, number, options in zip(rows, numbers, ranked, strict=True):
            different = [text for text in dict.fromkeys(options) if text.strip() and text != row[self._text]]
            made.append({**row, self._text: different[number - 1]} if number <= len(different) else None)
        return made

    def _translate(self, which: int, texts: Sequence[str], num: int) -> list[list[str]]:
        """For each text its `num` best translations."""
        import torch

        tokenizer, model = self._models[which]
        inputs = tokenizer(list(texts), return_tensors="pt", padding=True, truncation=True, max_length=MAX_TOKENS)
        with torch.inference_mode():
            ids: Tensor = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                num_beams=max(self._beams, num),
                num_return_sequences=num,
                do_sample=False,
                max_new_tokens=min(MAX_TOKENS, 2 * inputs["input_ids"].shape[1] + MARGIN),
            )
        found = tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [list(found[start : start + num]) for start in range(0, len(found), num)]


def _load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = AutoModelForSeq2SeqLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            t("no translation model could be loaded: {reason}", reason=str(error).splitlines()[0]),
            where=str(folder),
            expected=t("a folder of a sequence-to-sequence model with its tokenizer, weights in safetensors"),
        ) from error
    return tokenizer, model.eval()
