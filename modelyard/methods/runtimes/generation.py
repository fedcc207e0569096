"""Models that write: a Hugging Face folder of a causal language model, computed by transformers on torch.

Records of one call are written together, shorter prompts padded on the left, each token computed from kept keys and
values. What is drawn for a record depends on its seed and the place of the token alone, so that an answer is the same
alone and in any batch. How a model writes by default is in its `generation_config.json`, which other engines read too.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.row_random import generator
from modelyard.methods.runtimes.likelihood import Likelihood, Scored, log_probabilities, scored
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import NotNumbers, Prediction, Record
from modelyard.methods.runtimes.reading import reading
from modelyard.methods.tasks import Task
from modelyard.methods.tasks.text_generation import MESSAGES, PROMPT, TASK, TEXT, Generated, Request

BATCH = 16
"""Records written together."""
TOKEN_BUDGET = 16_384
"""Prompt tokens, padding included, of records written together."""
ANSWER = "answer"
"""Field of a record whose likelihood is asked: what would follow."""
BYTE = re.compile("<0x[0-9A-F]{2}>")
"""A token that spells one byte: several make a character, or are none."""
ANSWER_SHARE = 0.125
"""Of the model's positions: a prompt that leaves less for its answer is cut at its beginning."""


@dataclass(frozen=True)
class Defaults:
    """How a model writes unless a record says otherwise."""

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0

    @classmethod
    def of(cls, settings: Any) -> Defaults:
        """From a generation configuration of transformers."""
        sampled = bool(settings.do_sample)
        temperature = settings.temperature if settings.temperature is not None else 1.0
        top_p = settings.top_p if settings.top_p is not None else 1.0
        return cls(settings.max_new_tokens or cls.max_new_tokens, temperature if sampled else 0.0, top_p)


@dataclass
class Row:
    """One record on its way.

    Attributes:
        ids: prompt tokens that are read.
        limit: tokens it may write.
        unread: prompt tokens there was no room for.
        cut: the text, if a stop text ended it.
    """

    ids: list[int]
    request: Request
    limit: int
    unread: int
    written: list[int] = field(default_factory=list)
    cut: str | None = None
    finish: str = ""


def open_predictor(folder: Path, card: ModelCard, threads: int | None, token_budget: int | None) -> Writer:
    """Open a model folder that `validation.check` has passed. Raises InputError if its parts do not fit."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    if threads is not None:
        torch.set_num_threads(threads)
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            t("transformers cannot load the model: {error}", error=error),
            where=str(folder),
            expected=t("a causal language model that transformers has a class for"),
        ) from None
    rows, missing = model.get_input_embeddings().weight.shape[0], sorted(report["missing_keys"])
    if missing or len(tokenizer) > rows:
        found = t("{count} weights are not in the file, first `{name}`", count=len(missing), name=(missing or [""])[0])
        if not missing:
            found = t("the tokenizer knows {found} tokens, the model {expected}", found=len(tokenizer), expected=rows)
        raise InputError(found, where=str(folder), expected=t("a tokenizer and a model that belong together"))
    return Writer(manifest(folder).digest, model.eval(), tokenizer, token_budget or TOKEN_BUDGET, reading(card))


class Writer:
    """Implements `Predictor`, and streams."""

    task = TASK.name
    labels: tuple[str, ...] = ()

    def __init__(self, digest: str, model: Any, tokenizer: Any, token_budget: int, about: Task = TASK) -> None:
        self.digest = digest
        self.runtime = f"torch {torch.__version__}"
        self.defaults = Defaults.of(model.generation_config)
        self._model: Any = model
        self._tokenizer, self._budget, self._about = tokenizer, token_budget, about
        self._ends = _ends(model, tokenizer)
        self._positions = int(getattr(model.config, "max_position_embeddings", None) or 1 << 30)

    def predict(self, records: Sequence[Record]) -> list[Prediction]:
        rows = [self._row(request, f"records[{at}]") for at, request in enumerate(self._about.values(records))]
        for batch in batches([len(row.ids) for row in rows], self._budget):
            for _ in self._write([rows[place] for place in batch]):
                pass
        return [self._answer(row) for row in rows]

    def stream(self, record: Record) -> Generator[str, None, Generated]:
        """The answer's text piece by piece; together they are what `predict` answers, which it returns at its end."""
        row = self._row(self._about.values([record])[0], "records[0]")
        told = 0
        for _ in self._write([row]):
            text = self._text(row) if row.finish else self._settled(row)
            if len(text) > told:
                yield text[told:]
                told = len(text)
        return self._answer(row)

    def log_likelihood(self, records: Sequence[Record]) -> list[Likelihood]:
        """How likely each record's `answer` is after its prompt, or, without one, its prompt as a text of its own."""
        if self._model is None:
            raise RuntimeError("the predictor is closed")
        rows = [self._scored(record, f"records[{at}]") for at, record in enumerate(records)]
        return log_probabilities(self._model, rows, self._positions, self._budget)

    def close(self) -> None:
        self._model = None

    # -- reading ---------------------------------------------------------------------------------------------------

    def _row(self, request: Request, where: str) -> Row:
        ids = self._ids(request, where)
        if not ids:
            raise InputError(t("the prompt is empty, and the model has no mark to begin with"), where=where)
        wanted = request.max_new_tokens or self.defaults.max_new_tokens
        room = max(self._positions - min(wanted, int(self._positions * ANSWER_SHARE)), 1)
        unread = max(len(ids) - room, 0)
        read = ids[unread:]
        # The last token that is written need not be read.
        return Row(read, request, max(1, min(wanted, self._positions - len(read) + 1)), unread)

    def _ids(self, request: Request, where: str) -> list[int]:
        return self._encoded(request, self._prompt(request, where))

    def _encoded(self, request: Request, text: str) -> list[int]:
        """A chat's template writes its own marks."""
        plain = request.kind == PROMPT or not self._tokenizer.chat_template
        return list(self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=plain).ids)

    def _prompt(self, request: Request, where: str) -> str:
        """The text that is read: a chat as the model's template writes it."""
        template = self._tokenizer.chat_template
        if request.kind == MESSAGES and not template:
            raise InputError(
                t("the model has no chat template"),
                where=where,
                expected='{"prompt": "…"}',
                remedy=t("train.instruct makes a model that knows chats"),
            )
        if request.kind == MESSAGES or (request.kind == TEXT and template):
            chat = request.content if request.kind == MESSAGES else [{"role": "user", "content": request.content}]
            try:
                return str(self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
            except Exception as error:  # a template refuses by raising whatever it likes
                raise InputError(t("the chat template refuses: {error}", error=error), where=where) from None
        return str(request.content)

    def _scored(self, record: Record, where: str) -> Scored:
        request = self._about.values([{name: value for name, value in record.items() if name != ANSWER}])[0]
        text, named = self._prompt(request, where), self._tokenizer.bos_token_id
        mark = named if named is not None else min(self._ends, default=None)
        prompt, answer = (text, record[ANSWER]) if record.get(ANSWER) is not None else ("", text)
        return scored(lambda each: self._encoded(request, each), prompt, answer, mark)

    # -- writing ---------------------------------------------------------------------------------------------------

    def _write(self, rows: list[Row]) -> Iterator[None]:
        """Write all rows to their ends; yields after every token."""
        if self._model is None:
            raise RuntimeError("the predictor is closed")
        width = max(len(row.ids) for row in rows)
        ids = torch.tensor([[0] * (width - len(row.ids)) + row.ids for row in rows])
        mask = torch.tensor([[0] * (width - len(row.ids)) + [1] * len(row.ids) for row in rows])
        cache: Any = None
        while rows:
            scores, cache = self._forward(ids, mask, cache)
            for row, logits in zip(rows, scores, strict=True):
                self._add(row, self._pick(row, logits))
            yield
            open_ = [place for place, row in enumerate(rows) if not row.finish]
            if len(open_) < len(rows):
                rows = [rows[place] for place in open_]
                mask = mask[open_]
                if rows:
                    cache.batch_select_indices(torch.tensor(open_))
            if rows:
                ids = torch.tensor([[row.written[-1]] for row in rows])
                mask = torch.cat([mask, mask.new_ones(len(rows), 1)], 1)

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, cache: Any) -> tuple[NDArray[np.float64], Any]:
        """Logits [rows, vocabulary] of the last position."""
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        with torch.inference_mode():
            output = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        return output.logits[:, -1].double().numpy(), output.past_key_values

    def _pick(self, row: Row, logits: NDArray[np.float64]) -> int:
        if not np.isfinite(logits).all():
            raise NotNumbers(
                t("the model's scores are not numbers"),
                remedy=t("the weights are damaged or overflow: train or export the model again"),
            )
        temperature = self.defaults.temperature if row.request.temperature is None else row.request.temperature
        if temperature == 0:
            return int(logits.argmax())
        top_p = self.defaults.top_p if row.request.top_p is None else row.request.top_p
        draw = generator(row.request.seed or 0, "sample", "", len(row.written)).random()
        return sample(logits / temperature, top_p, draw)

    def _add(self, row: Row, token: int) -> None:
        """Take a token and see whether the row ends."""
        if token in self._ends:
            row.finish = "stop"
            return
        row.written.append(token)
        if row.request.stop:
            text = self._text(row)
            found = [place for place in (text.find(stop) for stop in row.request.stop) if place >= 0]
            if found:
                row.cut, row.finish = text[: min(found)], "stop"
                return
        if len(row.written) >= row.limit:
            row.finish = "length"

    def _text(self, row: Row) -> str:
        if row.cut is not None:
            return row.cut
        return self._decode(row.written)

    def _settled(self, row: Row) -> str:
        """The text without what may yet become another: bytes of a character, the beginning of a stop text."""
        size = len(row.written)
        while size and BYTE.fullmatch(self._tokenizer.convert_ids_to_tokens(row.written[size - 1])):
            size -= 1
        text = self._decode(row.written[:size]).rstrip("\ufffd")
        return text[: len(text) - max((len(stop) - 1 for stop in row.request.stop), default=0)]

    def _decode(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _answer(self, row: Row) -> Generated:
        return Generated(self._text(row), row.finish, len(row.written), row.unread, len(row.ids))


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    named = model.generation_config.eos_token_id
    found = [tokenizer.eos_token_id, *(named if isinstance(named, list | tuple) else [named])]
    return frozenset(token for token in found if token is not None)


def batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Places of rows that are written together: of like length, at most BATCH and `budget` padded tokens."""
    found: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        last = found[-1] if found else None
        if last and len(last) < BATCH and (len(last) + 1) * lengths[last[0]] <= budget:
            last.append(place)
        else:
            found.append([place])
    return found


def sample(logits: NDArray[np.float64], top_p: float, draw: float) -> int:
    """A token by nucleus sampling (Holtzman et al. 2020): of the likeliest that together have `top_p`.

    Args:
        logits: [vocabulary].
        draw: uniform in [0, 1); the token is where it falls in the cumulative probabilities.
    """
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")
    sums = np.cumsum(shares[order])
    kept = int(np.searchsorted(sums, top_p * (1 - 1e-12))) + 1
    kept = min(kept, len(order))
    return int(order[min(int(np.searchsorted(sums[:kept] / sums[kept - 1], draw, "right")), kept - 1)])
