"""Models that fill masks: a Hugging Face folder of a masked language model, computed by transformers on torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods import preprocessing
from modelyard.methods.preprocessing.tokens import Tokens, pad_ids
from modelyard.methods.runtimes import hf
from modelyard.methods.runtimes.batching import plan
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import NotNumbers, Prediction, Record
from modelyard.methods.runtimes.pseudo_likelihood import Masked, masked, places
from modelyard.methods.runtimes.reading import reading
from modelyard.methods.tasks import Task
from modelyard.methods.tasks.fill_mask import MASK, TASK, Candidate, Filled, Request

TOKEN_BUDGET = 1024
"""Padded tokens computed in one go: each has a score for every token of the vocabulary."""


@dataclass(frozen=True)
class Row:
    """A text on its way.

    Attributes:
        text: with the model's own mask.
        places: of the masks among the ids.
    """

    request: Request
    text: str
    ids: list[int]
    places: list[int]


def open_predictor(folder: Path, card: ModelCard, threads: int | None, token_budget: int | None) -> Filler:
    """Open a model folder that `validation.check` has passed. Raises InputError if its parts do not fit."""
    if threads is not None:
        torch.set_num_threads(threads)
    module: Any = hf.open_module(folder, "sdpa", "AutoModelForMaskedLM")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    reader = preprocessing.load(folder, card.preprocessing)
    rows = module.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows or not isinstance(reader, Tokens) or tokenizer.mask_token_id is None:
        found = t("the tokenizer knows {found} tokens, the model {expected}", found=len(tokenizer), expected=rows)
        if tokenizer.mask_token_id is None:
            found = t("the tokenizer has no mask")
        raise InputError(found, where=str(folder), expected=t("a tokenizer and a model that belong together"))
    budget = token_budget or TOKEN_BUDGET
    return Filler(manifest(folder).digest, module, tokenizer, reader, budget, reading(card))


class Filler:
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
        self._mask: str = tokenizer.mask_token

    def predict(self, records: Sequence[Record]) -> list[Prediction]:
        rows = [self._row(request, f"records[{at}]") for at, request in enumerate(self._about.values(records))]
        if not rows:
            return []
        lengths = np.array([len(row.ids) for row in rows], np.int64)
        order, pieces = plan({"attention_mask": lengths}, self._budget)
        answers: dict[int, Filled] = {}
        for start, end in pieces:
            some = order[start:end].tolist()
            for place, scores in zip(some, self._scores([rows[one] for one in some]), strict=True):
                answers[place] = self._answer(rows[place], scores)
        return [answers[place] for place in range(len(rows))]

    def pseudo_likelihood(self, records: Sequence[Record], most: int) -> list[Masked]:
        """Each text's tokens masked in turn, at most `most` of them."""
        texts = [request.text for request in self._about.values(records)]
        special = frozenset(self._tokenizer.all_special_ids)

        def scores(hidden: list[list[int]], at: list[int]) -> list[NDArray[np.float64]]:
            found: list[NDArray[np.float64]] = []
            step = max(1, self._budget // max(1, len(hidden[0])))
            for start in range(0, len(hidden), step):
                part = zip(hidden[start : start + step], at[start : start + step], strict=True)
                found += [one[0] for one in self._scores([Row(Request(""), "", ids, [place]) for ids, place in part])]
            return found

        return [masked(scores, ids, places(ids, special, most), self._tokenizer.mask_token_id)
                for ids in self._reader.ids(texts)]  # fmt: skip

    def close(self) -> None:
        self._module = None

    def _row(self, request: Request, where: str) -> Row:
        text = request.text if self._mask in request.text else request.text.replace(MASK, self._mask)
        ids = self._reader.ids([text])[0]
        places = [place for place, token in enumerate(ids) if token == self._tokenizer.mask_token_id]
        wanted = text.count(self._mask)
        if not wanted:
            raise InputError(
                t("the text has no mask"), where=where, expected=f'{{"text": "…{MASK}…"}}',
                remedy=t("write {mask} where something is to be filled in", mask=MASK),
            )  # fmt: skip
        if len(places) < wanted:
            raise InputError(
                t("a mask lies beyond the {count} tokens that the model reads", count=self._reader.max_length),
                where=where,
                remedy=t("cut the text around the mask"),
            )
        return Row(request, text, ids, places)

    def _scores(self, rows: list[Row]) -> list[NDArray[np.float64]]:
        """Of each row [masks, vocabulary], probabilities."""
        if self._module is None:
            raise RuntimeError("the predictor is closed")
        arrays = pad_ids([row.ids for row in rows], self._reader.pad_id)
        with torch.inference_mode():
            logits = self._module(**{name: torch.from_numpy(array) for name, array in arrays.items()}).logits
        found = [logits[place, row.places].double().softmax(-1).numpy() for place, row in enumerate(rows)]
        if not all(np.isfinite(one).all() for one in found):
            raise NotNumbers(
                t("the model's scores are not numbers"),
                remedy=t("the weights are damaged or overflow: train or export the model again"),
            )
        return found

    def _answer(self, row: Row, scores: NDArray[np.float64]) -> Filled:
        pieces = row.text.split(self._mask)
        found = []
        for mask, shares in enumerate(scores):
            best = np.argsort(-shares, kind="stable")[: row.request.top_k]
            for token in best.tolist():
                word = self._word(token)
                text = self._mask.join(pieces[: mask + 1]) + word + self._mask.join(pieces[mask + 1 :])
                found.append(Candidate(text, word, float(shares[token]), mask))
        return Filled(tuple(found))

    def _word(self, token: int) -> str:
        """The token as it stands in a text; its name where it is no text (a mark, a part of a character)."""
        name = str(self._tokenizer.convert_ids_to_tokens(token))
        word = str(self._tokenizer.decode([token], clean_up_tokenization_spaces=False)).strip()
        return name if not word or "\ufffd" in word else word.removeprefix("##")
