"""A predictor as lm-evaluation-harness asks a model: likelihoods of continuations, of whole texts, and writing.

Texts are cut where the harness' own Hugging Face model cuts them: spaces at the end of a context belong to what
follows, a context that is empty is the mark a text begins with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2.exceptions
from lm_eval.api.model import LM

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.tasks.text_generation import MAX_STOPS

TOKENS = 256
"""Written at most if a task does not say; the harness' own number."""
IGNORED = frozenset({"do_sample", "num_beams", "use_cache"})
"""Settings of writing that change nothing here: it is sampled if the temperature is above 0, never searched."""


class PredictorLM(LM):  # type: ignore[misc]
    """The model that ships, behind the harness' interface.

    Args:
        predictor: of texts (`text-generation`).
        note: hears (requests done, requests in all) of each kind of request.
        chats: what writes chats out as the model's template has them; None: no task asks in chats.
    """

    def __init__(
        self, predictor: Any, batch_rows: int, seed: int, note: Callable[[int, int], None], chats: Chats | None = None
    ) -> None:
        super().__init__()
        self._chats = chats
        self._predictor, self._batch, self._seed, self._note = predictor, batch_rows, seed, note

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """(log-probability of the continuation, whether each of its tokens was the likeliest)."""
        found = self._told([pair(*one.args) for one in requests])
        return [(one.log_probability, one.greedy) for one in found]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        return [one.log_probability for one in self._told([{"prompt": one.args[0]} for one in requests])]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        records = [writing(one.args[0], one.args[1], self._seed + place) for place, one in enumerate(requests)]
        return [one.text for one in self._batched(records, self._predictor.predict)]

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The chat as the model reads it; without `add_generation_prompt` its last message is left open."""
        if self._chats is None:
            raise RuntimeError("no chats were asked for")
        return self._chats.written(chat_history, add_generation_prompt)

    @property
    def tokenizer_name(self) -> str:
        """Fingerprint of a cache of requests, which is not used."""
        return "modelyard"

    def chat_template(self, chat_template: bool | str = False) -> str:
        return "" if self._chats is None else self._chats.template

    def _told(self, records: Sequence[Record]) -> list[Any]:
        likelihood = getattr(self._predictor, "log_likelihood", None)
        if likelihood is None:
            raise InputError(
                t("the model's runtime tells no likelihoods"),
                where="model",
                expected=t("a language model in the format `hf`"),
            )
        return self._batched(records, likelihood)

    def _batched(self, records: Sequence[Record], function: Callable[[Sequence[Record]], Sequence[Any]]) -> list[Any]:
        found: list[Any] = []
        for start in range(0, len(records), self._batch):
            found += function(records[start : start + self._batch])
            self._note(len(found), len(records))
        return found


class Chats:
    """Chats by the template of a model folder's tokenizer.

    Raises:
        InputError: the model has no chat template.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if not self._tokenizer.chat_template:
            raise InputError(
                t("the model has no chat template"),
                where="model",
                expected=t("`chat_template: false`"),
                remedy=t("train.instruct makes a model that knows chats"),
            )
        self.template = str(self._tokenizer.chat_template)
        mark = self._tokenizer.bos_token
        begins = self._tokenizer.backend_tokenizer.encode("x", add_special_tokens=True).ids[:1]
        # A mark that the tokenizer puts before every text is not written out: there would be two.
        self._mark = mark if mark and begins == [self._tokenizer.bos_token_id] else ""

    def written(self, turns: Sequence[Mapping[str, str]], opens_answer: bool) -> str:
        """The text of a chat; a template that knows no system messages gets none, as in the harness."""
        try:
            text = self._written(turns, opens_answer)
        except jinja2.exceptions.TemplateError:
            text = self._written([turn for turn in turns if turn["role"] != "system"], opens_answer)
        return text.removeprefix(self._mark)

    def _written(self, turns: Sequence[Mapping[str, str]], opens_answer: bool) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                list(turns),
                tokenize=False,
                add_generation_prompt=opens_answer,
                continue_final_message=not opens_answer,
            )
        )


def pair(context: str, continuation: str) -> dict[str, str]:
    """The record that asks for a continuation."""
    kept = context.rstrip()
    continuation = context[len(kept) :] + continuation
    return {"prompt": kept, "answer": continuation} if context else {"prompt": continuation}


def writing(context: str, settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The record that asks for a text.

    Raises InputError for a setting that this model does not know.
    """
    rest = dict(settings)
    until = rest.pop("until", None) or []
    record: dict[str, Any] = {"prompt": context, "max_new_tokens": int(rest.pop("max_gen_toks", TOKENS))}
    stops = [one for one in ([until] if isinstance(until, str) else list(until)) if one]
    if stops:
        record["stop"] = stops[:MAX_STOPS]
    temperature = float(rest.pop("temperature", 0.0) or 0.0)
    record["temperature"] = temperature if rest.get("do_sample", temperature > 0) else 0.0
    if rest.get("top_p") is not None:
        record["top_p"] = float(rest["top_p"])
    if record["temperature"]:
        record["seed"] = seed
    strange = sorted(set(rest) - IGNORED - {"top_p"})
    if strange or len(stops) > MAX_STOPS:
        raise InputError(
            t("the task wants `{name}` for writing", name=strange[0] if strange else "until"),
            where="generation_kwargs",
            expected="until (at most 16), max_gen_toks, temperature, do_sample, top_p",
        )
    return record
