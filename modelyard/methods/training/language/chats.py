"""Chats as tokens: written out by the tokenizer's template, and which tokens the model is to learn to say.

Tokenizers without a template get ChatML: every turn between `<|im_start|>role` and `<|im_end|>`, which then ends what
the model writes. Learned are the answers with the mark that ends them, not the questions, nor what the template itself
says before an answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.preprocessing import lossless
from modelyard.methods.tasks.text_generation import turns as checked_turns

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
ANSWERS = "assistant"
ROLES = {"human": "user", "gpt": "assistant", "observation": "tool", "function_call": "assistant"}
"""Names of roles in ShareGPT's form, `{"from": "human", "value": "…"}`."""
Turn = dict[str, str]


@dataclass(frozen=True)
class Encoded:
    """A chat as tokens, and which of them are learned."""

    ids: list[int]
    marks: list[bool]


def learn_to_chat(model: Any, tokenizer: Any) -> list[int]:
    """Give a tokenizer that has no chat template ChatML, and the model rows for its marks; in place.

    Returns:
        Ids of the marks, whose rows begin as the mean of all others: the base never read them. Empty if the tokenizer
        had a template.
    """
    if tokenizer.chat_template:
        return []
    marks = [lossless.TURN_START, lossless.TURN_END]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    tokenizer.chat_template = CHATML
    tokenizer.eos_token = lossless.TURN_END
    ids = [int(token) for token in tokenizer.convert_tokens_to_ids(marks)]
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            others = torch.ones(len(layer.weight), dtype=torch.bool)
            others[ids] = False
            layer.weight[ids] = layer.weight[others].mean(0)
    return ids


def turns_of(value: Any, where: str) -> list[Turn]:
    """The turns of a chat in a column: a list or its JSON, in OpenAI's form or ShareGPT's.

    Raises InputError if it is no chat.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InputError(t("not JSON: {error}", error=error), where=where) from None
    if isinstance(value, Mapping):
        value = [value]
    if isinstance(value, list):
        value = [_turn(one) for one in value]
    return checked_turns(value, where)


def _turn(value: Any) -> Any:
    if isinstance(value, Mapping) and "from" in value and "role" not in value:
        role = value["from"]
        return {"role": ROLES.get(role, role) if isinstance(role, str) else role, "content": value.get("value")}
    return value


def render(tokenizer: Any, turns: Sequence[Turn], asks: bool = False) -> str:
    """The chat as the template writes it; with `asks`, up to where the model answers.

    Raises InputError if the template refuses the chat.
    """
    try:
        return str(tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=asks))
    except Exception as error:  # a template refuses by raising whatever it likes
        raise InputError(t("the chat template refuses: {error}", error=error), where="tokenizer") from None


def answer_spans(tokenizer: Any, turns: Sequence[Turn]) -> tuple[str, list[tuple[int, int]]]:
    """The chat written out, and from where to where in it the answers stand, their end marks included.

    A template that writes earlier answers differently once others follow (some drop what a model thought) gives the
    last answer alone.

    Raises:
        InputError: the template writes an answer where it did not ask for one.
    """
    whole = render(tokenizer, turns)
    spans = []
    for place in (place for place, turn in enumerate(turns) if turn["role"] == ANSWERS):
        before = render(tokenizer, turns[:place], asks=True) if place else ""
        after = render(tokenizer, turns[: place + 1])
        if whole.startswith(after) and after.startswith(before):
            spans.append((len(before), len(after.rstrip())))
        elif place == len(turns) - 1:
            raise InputError(
                t("the chat template does not say where an answer begins"),
                where="tokenizer",
                expected=t("a template whose prompt is the beginning of the whole chat"),
                remedy=t("use a base without a template (it gets ChatML), or another template"),
            )
    return whole, spans


def encode(tokenizer: Any, chats: Sequence[Sequence[Turn]]) -> list[Encoded]:
    """Each chat as tokens; those that begin inside an answer are learned."""
    written = [answer_spans(tokenizer, turns) for turns in chats]
    return mark(tokenizer, [text for text, _ in written], [spans for _, spans in written])


def mark(
    tokenizer: Any, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]], special: bool = False
) -> list[Encoded]:
    """Texts as tokens, learned where they begin inside a span.

    Args:
        special: let the tokenizer put its own marks around the texts.
    """
    found = []
    for encoding, wanted in zip(
        tokenizer.backend_tokenizer.encode_batch(list(texts), add_special_tokens=special), spans, strict=True
    ):
        marks = [end > start and any(low <= start < high for low, high in wanted) for start, end in encoding.offsets]
        found.append(Encoded(list(encoding.ids), marks))
    return found
