"""A column of texts as documents: each begins and ends with the tokenizer's marks, tokens kept on disk."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from tokenizers import Tokenizer, processors

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.preprocessing import lossless
from modelyard.methods.training.language import models
from modelyard.methods.training.language.documents import StoredDocuments
from modelyard.methods.training.language.settings import Tokens
from modelyard.methods.training.loader.store import Reading, TokenStore, folder_for

NO_LIMIT = 1 << 31
"""Tokens of a document: it goes on in other lines, however long it is."""


def texts_of(data: Dataset, split: str, column: str) -> Iterator[str]:
    """The texts of a split that are not empty, one at a time."""
    for batch in data.batches(split, [column]):
        yield from (text for text in batch.column(0).to_pylist() if text)


def learn(settings: Tokens, data: Dataset, column: str, context: int) -> Any:
    """A tokenizer learned from the training texts, as transformers has it."""
    texts = islice(texts_of(data, "train", column), settings.texts)
    made = lossless.characters(texts) if settings.kind == "characters" else _learn_bytes(settings, texts)
    return models.fresh_tokenizer(made, context)


def _learn_bytes(settings: Tokens, texts: Iterator[str]) -> Any:
    return lossless.learn_bytes(texts, settings.vocabulary_size)


def document_tokenizer(tokenizer: Any) -> Any:
    """The `tokenizers.Tokenizer` that puts the model's own marks around a text, and its end behind it."""
    single = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    before, after = marks_around(single)
    end = tokenizer.eos_token_id
    if end is not None and end not in after:
        after = [*after, end]
    names = {token: str(single.id_to_token(token)) for token in {*before, *after}}
    single.post_processor = processors.TemplateProcessing(
        single=[*(names[token] for token in before), "$A", *(names[token] for token in after)],
        special_tokens=[(name, token) for token, name in names.items()],
    )
    return single


def marks_around(single: Any) -> tuple[list[int], list[int]]:
    """(ids before, ids behind) that a `tokenizers.Tokenizer` puts around a text; its cutting and padding end."""
    single.no_truncation()
    single.no_padding()
    plain, whole = (single.encode("a", add_special_tokens=special).ids for special in (False, True))
    place = next((at for at in range(len(whole)) if whole[at : at + len(plain)] == plain), 0)
    return whole[:place], whole[place + len(plain) :]


def documents(
    data: Dataset, split: str, column: str, tokenizer: Any, scratch: Path, workers: int = 0
) -> StoredDocuments:
    """The texts of a split as documents, tokenized into `scratch` once.

    Raises InputError if no text of the split has two tokens, the least that one can be predicted from.
    """
    reading = Reading(document_tokenizer(tokenizer).to_str(), NO_LIMIT, tokenizer.pad_token_id or 0)
    store = TokenStore(folder_for(scratch, data, split, column, reading), data, split, column, reading, workers)
    found = StoredDocuments(store, split)
    if not any((store.lengths(place) > 1).any() for place in range(len(store.pieces))):
        raise InputError(
            t("no {split} row has a text", split=split),
            where=f"data/{split}",
            expected=t("texts in the column `{column}`", column=column),
            remedy=t("check data.read and data.split"),
        )
    return found


def num_bytes(data: Dataset, split: str, column: str) -> int:
    """UTF-8 bytes of all texts of a split."""
    sizes = (pc.sum(pc.binary_length(batch.column(0))).as_py() or 0 for batch in data.batches(split, [column]))
    return int(sum(sizes))
