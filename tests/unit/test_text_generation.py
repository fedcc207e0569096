"""Models that write: greedy and drawn, alone and in batches, chats, ends, limits, hostile records."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from support.tiny_language import tiny_model

from modelyard.cli.main import cli
from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.preprocessing import lossless
from modelyard.methods.runtimes import generation
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.training.language import chats, saving
from modelyard.methods.training.language.settings import Generation

BYTES = slice(len(lossless.SPECIAL), len(lossless.SPECIAL) + 256)
PROMPTS = ["Ada", "小明 likes", "", "tea tea tea tea tea tea", "Ben likes rice. Ben", "soup"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model folders: one that goes on from prompts, one that knows chats."""
    found = {}
    for name in ("plain", "chat"):
        model, tokenizer = tiny_model("llama" if name == "plain" else "gpt2", context=64, seed=3)
        if name == "chat":
            chats.learn_to_chat(model, tokenizer)
        # Fresh weights are nearly indifferent: louder ones decide.
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter *= 6
            model.get_input_embeddings().weight[BYTES] = 0
        found[name] = tmp_path_factory.mktemp(name)
        golden = (
            [{"messages": [{"role": "user", "content": "Ada"}]}] if name == "chat" else saving.prompts(["Ada", "B"])
        )
        saving.write_model(model, tokenizer, found[name], 64, Generation(max_new_tokens=12), {}, "MIT", golden)
    return found


@pytest.fixture(scope="module")
def writer(folders: dict[str, Path]):
    return runtimes.load(folders["plain"], threads=1)


def test_greedy_text_is_what_transformers_writes(folders: dict[str, Path], writer) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folders["plain"])
    tokenizer = AutoTokenizer.from_pretrained(folders["plain"])
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt")
        expected = model.generate(**ids)[0, ids["input_ids"].shape[1] :]
        answer = writer.predict([{"prompt": prompt}])[0]
        assert answer.text == tokenizer.decode(expected, skip_special_tokens=True)


@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 1.0, "seed": 5}, {"temperature": 2.0, "top_p": 0.6, "seed": 1}]
)
@pytest.mark.parametrize("folder", ["plain", "chat"])
def test_an_answer_is_the_same_alone_and_in_any_batch(folders: dict[str, Path], folder: str, settings) -> None:
    writer = runtimes.load(folders[folder], threads=1)
    records = [{"prompt": prompt, **settings, "max_new_tokens": 3 + 4 * place} for place, prompt in enumerate(PROMPTS)]
    alone = [writer.predict([record])[0] for record in records]
    assert writer.predict(records) == alone
    assert writer.predict(records[::-1]) == alone[::-1]
    assert len({answer.text for answer in alone}) > 3


def test_what_is_drawn_depends_on_the_seed(writer) -> None:
    def write(seed: int) -> str:
        return writer.predict([{"prompt": "Ada", "temperature": 1.5, "seed": seed}])[0].text

    assert write(1) == write(1)
    assert len({write(seed) for seed in range(6)}) > 3


def test_sampling_draws_by_probability_within_the_nucleus() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05]))
    draws = (np.arange(2000) + 0.5) / 2000
    counts = np.bincount([generation.sample(logits, 1.0, draw) for draw in draws], minlength=4) / 2000
    np.testing.assert_allclose(counts, [0.5, 0.3, 0.15, 0.05], atol=1e-3)
    counts = np.bincount([generation.sample(logits, 0.7, draw) for draw in draws], minlength=4) / 2000
    np.testing.assert_allclose(counts, [0.625, 0.375, 0, 0], atol=1e-3)
    assert {generation.sample(logits, 1e-9, draw) for draw in draws} == {0}
    assert generation.sample(logits, 1.0, np.nextafter(1, 0)) == 3


def test_pieces_of_a_stream_are_the_answer(writer) -> None:
    num = []
    for prompt in PROMPTS:
        for record in ({"prompt": prompt}, {"prompt": prompt, "temperature": 1.0, "seed": 2}):
            pieces = list(writer.stream(record))
            assert "".join(pieces) == writer.predict([record])[0].text
            num.append(len(pieces))
    assert max(num) > 5


def test_a_stop_text_ends_the_answer_before_it(writer) -> None:
    whole = writer.predict([{"prompt": "Ada"}])[0].text
    for start in (0, 3):
        stop = whole[start : start + 2]
        record = {"prompt": "Ada", "stop": ["never there", stop]}
        answer = writer.predict([record])[0]
        assert answer.text == whole[: whole.find(stop)]
        assert answer.finish == "stop"
        assert "".join(writer.stream(record)) == answer.text


def test_a_prompt_longer_than_the_model_is_read_from_its_end_and_it_is_said(writer) -> None:
    long = writer.predict([{"prompt": "rice " * 60 + "Ada"}])[0]
    assert long.unread == 304 - 56
    assert long.tokens <= 9
    short = writer.predict([{"prompt": "Ada", "max_new_tokens": 500}])[0]
    assert short.unread == 0
    assert (short.tokens, short.finish) == (61, "length") or short.finish == "stop"


def test_chats_go_through_the_template_and_plain_models_refuse_them(folders: dict[str, Path], writer) -> None:
    chat = runtimes.load(folders["chat"], threads=1)
    turns = [{"role": "user", "content": "Ada"}]
    asked = "<|im_start|>user\nAda<|im_end|>\n<|im_start|>assistant\n"
    answers = chat.predict([{"messages": turns}, {"text": "Ada"}, {"prompt": "Ada"}])
    assert answers[0] == answers[1]
    ids = chat._tokenizer(asked, add_special_tokens=False)["input_ids"]
    assert chat._ids(chat_request(turns), "") == ids
    with pytest.raises(InputError, match="no chat template"):
        writer.predict([{"messages": turns}])
    assert writer.predict([{"text": "Ada"}]) == writer.predict([{"prompt": "Ada"}])


def chat_request(turns):
    from modelyard.methods.tasks.text_generation import Request

    return Request("messages", turns)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"prompt": "a", "text": "b"},
        {"prompt": 1},
        {"prompt": "a", "temprature": 1},
        {"prompt": "a", "temperature": float("nan")},
        {"prompt": "a", "temperature": -1},
        {"prompt": "a", "max_new_tokens": True},
        {"prompt": "a", "max_new_tokens": 1.5},
        {"prompt": "a", "top_p": 0},
        {"prompt": "a", "stop": ""},
        {"prompt": "a", "stop": ["x"] * 17},
        {"messages": []},
        {"messages": "hi"},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": 1, "content": "a"}]},
    ],
)
def test_records_that_cannot_be_read_name_themselves(writer, record) -> None:
    with pytest.raises(InputError) as caught:
        writer.predict([{"prompt": "fine"}, record])
    assert caught.value.problems[0].where.startswith("records[1]")


def test_golden_answers_are_greedy_and_a_changed_weight_is_noticed(folders: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for folder in folders.values():
        golden = json.loads((folder / "golden.json").read_text())
        assert all(record["temperature"] == 0 for record in golden["records"])
        assert check_golden(folder, runtimes.load(folder, threads=1)) == []
    for path in folders["plain"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"].roll(1, 0)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert check_golden(tmp_path, runtimes.load(tmp_path, threads=1))


def test_the_command_line_writes(folders: dict[str, Path], writer) -> None:
    done = CliRunner().invoke(cli, ["predict", str(folders["plain"]), "Ada"])
    assert done.exit_code == 0, done.output
    assert done.output.strip() == writer.predict([{"prompt": "Ada"}])[0].text.strip()
    done = CliRunner().invoke(cli, ["predict", str(folders["plain"]), "Ada", "--json"])
    assert json.loads(done.output)["predictions"] == [writer.predict([{"prompt": "Ada"}])[0].to_json()]


@pytest.mark.parametrize("harm", ["tokenizer", "weights", "code"])
def test_a_folder_whose_parts_do_not_fit_is_refused(folders: dict[str, Path], tmp_path: Path, harm: str) -> None:
    from safetensors.torch import load_file, save_file

    for path in folders["plain"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if harm == "weights":
        weights = load_file(tmp_path / "model.safetensors")
        weights.pop("model.norm.weight")
        save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    else:
        name = "tokenizer.json" if harm == "tokenizer" else "config.json"
        value = json.loads((tmp_path / name).read_text())
        if harm == "tokenizer":
            value["model"]["vocab"] |= {f"new{place}": 286 + place for place in range(40)}
        else:
            value["auto_map"] = {"AutoModelForCausalLM": "evil.Model"}
        (tmp_path / name).write_text(json.dumps(value))
    with pytest.raises(InputError):
        runtimes.load(tmp_path, threads=1)
