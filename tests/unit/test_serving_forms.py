"""Requests of every kind of record, and OpenAI's forms, without a server: records made, and streams given up."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import struct
import time
from collections.abc import Generator
from typing import Any

import pytest
from support.served import FakePredictor

from modelyard.methods.tasks.text_generation import Generated
from modelyard.serving import ServingSettings
from modelyard.serving.batching import Answer, Batcher, Job
from modelyard.serving.errors import Refusal
from modelyard.serving.inputs import Inputs
from modelyard.serving.openai import embedding
from modelyard.serving.rest import Encoder, raw_form, records_of

SETTINGS = ServingSettings(max_instances=3, max_text_chars=20, max_image_bytes=64, max_new_tokens=8)
TABLE = Inputs("tabular-regression", "table", {"age": "float32", "city": "string"})
IMAGE = Inputs("image-classification", "image", {"image": "bytes"})
PROMPT = Inputs("text-generation", "prompt", {"text": "string"})
EMBEDDER = Inputs("sentence-embedding", "text", {"text": "string"})


def read(body: Any, inputs: Inputs) -> list[Any]:
    return records_of(json.dumps(body).encode(), SETTINGS, inputs)[0]


def test_rows_and_columns_of_a_table_are_the_same_records() -> None:
    rows = [{"age": 3, "city": "Ulm"}, {"age": None, "city": None}]
    assert read({"instances": rows}, TABLE) == rows
    assert read({"inputs": {"city": ["Ulm", None], "age": [3, None]}}, TABLE) == rows


@pytest.mark.parametrize(
    ("body", "inputs", "code", "words"),
    [
        ({"inputs": {}}, TABLE, "bad_instances", "0 rows"),
        ({"inputs": {"age": [1] * 4, "city": ["a"] * 4}}, TABLE, "too_large", "4 rows"),
        ({"instances": [{"age": {}, "city": "a"}]}, TABLE, "bad_instances", "instances[0].age"),
        ({"instances": [{"age": 1, "city": "x" * 21}]}, TABLE, "too_large", "instances[0].city"),
        ({"instances": [{"age": 1, "city": "\ud800"}]}, TABLE, "bad_instances", "instances[0].city"),
        ({"instances": ["A" * 200]}, IMAGE, "too_large", "instances[0]: an image has at most 64 bytes"),
        ({"instances": ["ä"]}, IMAGE, "bad_instances", "instances[0]: an image is base64"),
        ({"instances": [{"image": "AA", "b64": "AA"}]}, IMAGE, "bad_instances", "instances[0]"),
        ({"inputs": {"picture": ["AA"]}}, IMAGE, "bad_instances", 'the only input is "image"'),
        ({"instances": [3]}, PROMPT, "bad_instances", "instances[0]"),
        ({"instances": [{"prompt": "a", "top_k": 3}]}, PROMPT, "bad_instances", "instances[0].top_k: no such field"),
        ({"instances": [{"prompt": "a"}, {"prompt": "a", "seed": -1}]}, PROMPT, "bad_instances", "instances[1].seed"),
        ({"instances": [{"prompt": "a", "max_new_tokens": 9}]}, PROMPT, "too_large", "9 tokens are asked"),
        ({"instances": [{"prompt": "a" * 21}]}, PROMPT, "too_large", "instances[0]"),
        ({"instances": [{"prompt": "a", "stop": "\udfff"}]}, PROMPT, "bad_instances", "lone surrogate"),
        ({"instances": [{"messages": [{"role": "u", "content": "a" * 12}] * 2}]}, PROMPT, "too_large", "26 characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_place(body: Any, inputs: Inputs, code: str, words: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(body, inputs)
    assert caught.value.code == code
    assert words in caught.value.message


def test_a_body_that_is_an_image_is_one_record_within_its_limit() -> None:
    form = raw_form("m", IMAGE, SETTINGS)
    assert form(b"\x89PNG").records == [{"image": b"\x89PNG"}]
    for body in (b"", b"x" * 65):
        with pytest.raises(Refusal):
            form(body)


class Vector:
    def to_json(self) -> dict[str, Any]:
        return {"embedding": [0.5, -1.0]}


def test_embeddings_are_numbers_or_little_endian_base64() -> None:
    for form in ("float", "base64"):
        body = json.dumps({"model": "e", "input": ["a", "b"], "encoding_format": form, "dimensions": None}).encode()
        asked = embedding(body, {"e": EMBEDDER}, SETTINGS)
        assert asked.records == [{"text": "a"}, {"text": "b"}]
        data = json.loads(asked.write(Encoder(()), [Vector(), Vector()]))["data"]
        found = data[1]["embedding"]
        assert data[1]["index"] == 1
        assert found == [0.5, -1.0] or struct.unpack("<2f", base64.b64decode(found)) == (0.5, -1.0)
    for change in ({"dimensions": 3}, {"encoding_format": "hex"}, {"input": [[1, 2]]}, {"input": []}, {"model": "x"}):
        with pytest.raises(Refusal):
            embedding(json.dumps({"input": "a", **change}).encode(), {"e": EMBEDDER}, SETTINGS)


class Author(FakePredictor):
    """Writes a letter at a time for as long as somebody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0
        self.given_up = False

    def stream(self, record: Any) -> Generator[str, None, Generated]:
        try:
            for _ in range(int(record["text"])):
                time.sleep(0.005)
                self.written += 1
                yield "a"
        except GeneratorExit:
            self.given_up = True
            raise
        return Generated("a" * int(record["text"]), "stop", self.written)


def test_a_stream_comes_in_pieces_outlives_its_deadline_and_stops_when_nobody_reads() -> None:
    async def scenario() -> Author:
        author, loop = Author(), asyncio.get_running_loop()
        batcher = Batcher(author, ServingSettings(workers=1), loop, padding_costs=False)

        def put(text: str, stream: bool) -> tuple[Job, list[str], asyncio.Future[Answer]]:
            pieces: list[str] = []
            future: asyncio.Future[Answer] = loop.create_future()
            part = pieces.append if stream else None
            job = Job([{"text": text}], time.monotonic() + 60, future.set_result, part=part)
            batcher.submit(job)
            return job, pieces, future

        job, pieces, future = put("60", True)
        assert (await future)[0].text == "a" * 60  # type: ignore[index]
        assert pieces == ["a"] * 60
        assert job.deadline == math.inf
        job, pieces, future = put("100000", True)
        other = put("abc", False)[2]
        while not pieces:
            await asyncio.sleep(0.005)
        job.cancel()
        assert not isinstance(await other, Refusal)
        assert not future.done()
        await loop.run_in_executor(None, batcher.close)
        return author

    author = asyncio.run(scenario())
    assert author.given_up
    assert author.written < 1000
