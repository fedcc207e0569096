"""Instruction tuning: what is learned is the answers and the marks that end them, and nothing else."""

from __future__ import annotations

import json

import pytest
import torch
from support.tiny_language import NAMES, THINGS, tiny_model
from torch.nn import functional

from modelyard.errors import InputError
from modelyard.methods.preprocessing import lossless
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language import chats, instruction
from modelyard.methods.training.language.network import TokenLosses
from modelyard.methods.training.language.objectives import NextToken
from modelyard.methods.training.language.packing import Layout, PackedFeed
from modelyard.methods.training.language.rows import Chat

CPU = torch.device("cpu")
TWO_TURNS = [
    {"role": "system", "content": "likes"},
    {"role": "user", "content": "Ada?"},
    {"role": "assistant", "content": "tea."},
    {"role": "user", "content": "Ben?"},
    {"role": "assistant", "content": "soup. "},
]


def prepared(**shape):
    model, tokenizer = tiny_model(context=256, **shape)
    marks = chats.learn_to_chat(model, tokenizer)
    return model.eval(), tokenizer, marks


def test_chatml_is_written_as_its_definition_says() -> None:
    _, tokenizer, _ = prepared()
    assert chats.render(tokenizer, TWO_TURNS[:3]) == (
        "<|im_start|>system\nlikes<|im_end|>\n<|im_start|>user\nAda?<|im_end|>\n<|im_start|>assistant\ntea.<|im_end|>\n"
    )
    assert chats.render(tokenizer, TWO_TURNS[1:2], asks=True).endswith("<|im_start|>assistant\n")


def test_marked_are_the_answers_with_their_end_marks_and_no_other_token() -> None:
    _, tokenizer, _ = prepared()
    encoded = chats.encode(tokenizer, [TWO_TURNS])[0]
    learned = [token for token, mark in zip(encoded.ids, encoded.marks, strict=True) if mark]
    assert tokenizer.decode(learned) == "tea.<|im_end|>soup. <|im_end|>"
    assert tokenizer.decode(encoded.ids) == chats.render(tokenizer, TWO_TURNS)


def test_loss_is_the_slow_masked_loss_of_each_answer() -> None:
    model, tokenizer, _ = prepared()
    found = [
        Chat([{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n} likes {thing}."}], n)
        for n in NAMES
        for thing in THINGS
    ]
    total, count = 0.0, 0
    for chat in found:
        prompt = chats.render(tokenizer, chat.turns[:1], asks=True)
        answer = chat.turns[1]["content"] + "<|im_end|>"
        asked, whole = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, prompt + answer))
        logits = model(input_ids=torch.tensor([whole])).logits[0].double()
        for place in range(len(asked), len(whole)):
            total += functional.cross_entropy(logits[place - 1], torch.tensor(whole[place])).item()
            count += 1
    documents = instruction.documents(found, tokenizer, 128, "cut", "train", Hooks())
    feed = PackedFeed(documents, Layout(128, 4), CPU)
    batches = [batch for step in range(feed.epoch_steps) for batch in feed.step(0, step)]
    assert sum(batch.weight for batch in batches) == count
    fast = sum(NextToken()(TokenLosses(model), batch).item() for batch in batches)
    assert fast == pytest.approx(total, rel=1e-5)


def test_marks_the_base_never_read_begin_as_the_mean_of_all_others() -> None:
    model, tokenizer, marks = prepared()
    assert marks == tokenizer.convert_tokens_to_ids([lossless.TURN_START, lossless.TURN_END])
    weight = model.get_input_embeddings().weight
    others = [row for row in range(len(weight)) if row not in marks]
    for mark in marks:
        torch.testing.assert_close(weight[mark], weight[others].mean(0))
    assert tokenizer.eos_token == lossless.TURN_END
    assert chats.learn_to_chat(model, tokenizer) == [], "a tokenizer that knows chats is left as it is"


def test_a_model_without_the_marks_gets_rows_for_them() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    model, _ = tiny_model()
    plain = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain)
    model.resize_token_embeddings(2, mean_resizing=False)
    assert chats.learn_to_chat(model, tokenizer) == [2, 3]
    assert model.get_input_embeddings().weight.shape[0] == model.config.vocab_size == 4
    assert model.get_output_embeddings().weight.shape[0] == 4


def test_a_template_that_forgets_earlier_thoughts_gives_the_last_answer() -> None:
    _, tokenizer, _ = prepared()
    # Earlier answers lose what stands before a dash once another turn follows, as some models' templates do.
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}]"
        "{% if m['role'] == 'assistant' and not loop.last %}{{ m['content'].split('-')[-1] }}"
        "{% else %}{{ m['content'] }}{% endif %};{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    turns = [{**turn, "content": f"x-{turn['content']}"} if turn["role"] == "assistant" else turn for turn in TWO_TURNS]
    whole, spans = chats.answer_spans(tokenizer, turns)
    assert [whole[low:high] for low, high in spans] == ["x-soup. ;"]


def test_a_template_that_does_not_say_where_an_answer_begins_is_refused() -> None:
    _, tokenizer, _ = prepared()
    tokenizer.chat_template = "{{ messages | length }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(InputError, match="where an answer begins"):
        chats.encode(tokenizer, [TWO_TURNS])
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(InputError, match="roles must alternate"):
        chats.encode(tokenizer, [TWO_TURNS])


@pytest.mark.parametrize(("too_long", "num"), [("cut", 2), ("leave_out", 1)])
def test_too_long_chats_are_cut_or_left_out_and_it_is_said(too_long: str, num: int) -> None:
    _, tokenizer, _ = prepared()
    answers = ["tea.", "tea " * 30, "tea."]
    questions = ["Ada?", "Ben?", "soup " * 40]
    found = [
        Chat([{"role": "user", "content": question}, {"role": "assistant", "content": answer}], f"r{place}")
        for place, (question, answer) in enumerate(zip(questions, answers, strict=True))
    ]
    said: list[str] = []
    documents = instruction.documents(found, tokenizer, 64, too_long, "train", Hooks(say=said.append))
    assert len(documents) == num
    lengths = documents.window(0)[1]
    assert lengths.max() <= 65
    assert any("were left out" in line for line in said)
    assert any("were cut there" in line for line in said) == (too_long == "cut")
    if too_long == "cut":
        row = documents.window(0)[0][1:2]
        last = documents.take(row, lengths[1:2] - 1, lengths[:1] * 0 + 1)
        assert tokenizer.decode(last) != lossless.TURN_END, "a cut answer must not teach to end there"
    with pytest.raises(InputError, match="within 8 tokens"):
        instruction.documents(found, tokenizer, 8, too_long, "train", Hooks())


@pytest.mark.parametrize(
    "value",
    [
        [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
        json.dumps([{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]),
    ],
)
def test_both_forms_of_chats_are_read(value) -> None:
    assert chats.turns_of(value, "x") == [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
