"""Models that make one text of another: a Hugging Face folder of an encoder with a decoder (T5, BART), computed by
transformers on torch.

How a model writes by default is in its `generation_config.json`. Records that want as many beams and tokens are written
together, texts of like length in one batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods import preprocessing
from modelyard.methods.preprocessing.tokens import Tokens, pad_ids
from modelyard.methods.runtimes import hf
from modelyard.methods.runtimes.generation import batches
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import NotNumbers, Prediction, Record
from modelyard.methods.runtimes.reading import reading
from modelyard.methods.tasks import Task
from modelyard.methods.tasks.text_generation import Generated
from modelyard.methods.tasks.text_to_text import TASK, Request

TOKEN_BUDGET = 4096
"""Tokens of texts, padding included, of records written together."""


@dataclass(frozen=True)
class Row:
    """A text on its way: its ids, how many of its tokens are not read, and how it is to be answered."""

    ids: list[int]
    unread: int
    beams: int
    limit: int


def open_predictor(folder: Path, card: ModelCard, threads: int | None, token_budget: int | None) -> Rewriter:
    """Open a model folder that `validation.check` has passed. Raises InputError if its parts do not fit."""
    from transformers import AutoTokenizer

    if threads is not None:
        torch.set_num_threads(threads)
    module: Any = hf.open_module(folder, None, "AutoModelForSeq2SeqLM")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    reader = preprocessing.load(folder, card.preprocessing)
    rows = module.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows or not isinstance(reader, Tokens):
        raise InputError(
            t("the tokenizer knows {found} tokens, the model {expected}", found=len(tokenizer), expected=rows),
            where=str(folder),
            expected=t("a tokenizer and a model that belong together"),
        )
    budget = token_budget or TOKEN_BUDGET
    return Rewriter(manifest(folder).digest, module, tokenizer, reader, budget, reading(card))


class Rewriter:
    """Implements `Predictor`."""

    task = TASK.name
    labels: tuple[str, ...] = ()

    def __init__(
        self, digest: str, module: Any, tokenizer: Any, reader: Tokens, token_budget: int, about: Task = TASK
    ) -> None:
        self.digest = digest
        self.runtime = f"torch {torch.__version__}"
        self._module: Any = module
        self._tokenizer, self._reader, self._budget, self._about = tokenizer, reader, token_budget, about
        whole = tokenizer.backend_tokenizer
        whole.no_truncation()
        whole.no_padding()
        settings = module.generation_config
        self._beams, self._limit = settings.num_beams or 1, settings.max_new_tokens or 64
        ends = settings.eos_token_id
        self._ends = frozenset(ends if isinstance(ends, list | tuple) else [ends])
        self._positions = int(getattr(module.config, "max_position_embeddings", None) or 1 << 30)

    def predict(self, records: Sequence[Record]) -> list[Prediction]:
        rows = [self._row(request) for request in self._about.values(records)]
        alike: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            alike[row.beams, row.limit].append(place)
        answers: dict[int, Generated] = {}
        for places in alike.values():
            for batch in batches([len(rows[place].ids) for place in places], self._budget):
                some = [places[one] for one in batch]
                answers |= dict(zip(some, self._write([rows[place] for place in some]), strict=True))
        return [answers[place] for place in range(len(rows))]

    def close(self) -> None:
        self._module = None

    def _row(self, request: Request) -> Row:
        ids = self._reader.ids([request.text])[0]
        whole = len(self._tokenizer.backend_tokenizer.encode(request.text[: self._reader.max_chars]).ids)
        limit = min(request.max_new_tokens or self._limit, self._positions - 1)
        return Row(ids, max(whole - len(ids), 0), request.beams or self._beams, limit)

    def _write(self, rows: list[Row]) -> list[Generated]:
        if self._module is None:
            raise RuntimeError("the predictor is closed")
        arrays = pad_ids([row.ids for row in rows], self._reader.pad_id)
        with torch.inference_mode():
            found = self._module.generate(
                **{name: torch.from_numpy(array) for name, array in arrays.items()},
                num_beams=rows[0].beams,
                max_new_tokens=rows[0].limit,
                do_sample=False,
                output_scores=True,
                return_dict_in_generate=True,
            )
        if any(torch.isnan(step).any() for step in found.scores):
            raise NotNumbers(
                t("the model's scores are not numbers"),
                remedy=t("the weights are damaged or overflow: train or export the model again"),
            )
        return [self._answer(row, ids[1:]) for row, ids in zip(rows, found.sequences.tolist(), strict=True)]

    def _answer(self, row: Row, ids: list[int]) -> Generated:
        """What was written up to the first mark of the end."""
        end = next((place for place, token in enumerate(ids) if token in self._ends), None)
        written = ids[:end]
        text = str(self._tokenizer.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False))
        return Generated(text, "length" if end is None else "stop", len(written), row.unread, len(row.ids))
