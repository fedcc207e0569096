"""Tables, images and chats through the real command line: served over HTTP, and asked with `predict`."""

from __future__ import annotations

import base64
import csv
import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import served_tasks
from support.mail_project import modelyard
from support.pictures import picture
from support.small_tables import people

from modelyard.methods import runtimes

ROW = {"age": 40, "city": "Ulm", "income": 31.5, "code": "01"}
OTHER = {"age": None, "city": "Bonn", "income": 12, "code": "04"}
PREDICT = {name: f"/v1/models/{name}:predict" for name in ("people", "shades", "talker")}
TALK = [{"role": "user", "content": "Ada"}]


class Served:
    """One `modelyard serve` over a table, an image and a chat model."""

    def __init__(self, folders: list[Path], cwd: Path) -> None:
        environment = {**os.environ, "MODELYARD_LANG": "en", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "modelyard", "serve", *map(str, folders), "--port", "0", "--workers", "2"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=cwd)
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line)
            if line.startswith("serving "):
                self.port = int(line.rsplit(":", 1)[1])
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return
        raise AssertionError("".join(said))

    def send(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, bytes, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, {"content-type": kind} if data is not None else {})
        reply = connection.getresponse()
        return reply.status, reply.read(), reply.getheader("content-type") or ""

    def ask(self, path: str, body: Any, kind: str = "application/json") -> Any:
        status, data, _ = self.send("POST", path, body, kind)
        assert status == 200, data
        return json.loads(data)

    def refused(self, path: str, body: Any, kind: str = "application/json") -> tuple[int, str]:
        status, data, _ = self.send("POST", path, body, kind)
        return status, json.loads(data).get("message", "")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root, found = tmp_path_factory.mktemp("tasks"), {}
    made = {"people": served_tasks.table(), "shades": served_tasks.image(), "talker": served_tasks.chat()}
    for name, folder in made.items():
        found[name] = root / name
        shutil.copytree(folder, found[name])
    return found


@pytest.fixture(scope="module")
def served(folders: dict[str, Path]) -> Iterator[Served]:
    served = Served(list(folders.values()), folders["people"].parent)
    try:
        yield served
    finally:
        served.process.kill()
        served.process.wait()


def test_a_table_is_asked_by_rows_and_by_columns(served: Served, folders: dict[str, Path]) -> None:
    predictor = runtimes.load(folders["people"], threads=1)
    wanted = [answer.to_json() for answer in predictor.predict([ROW, OTHER])]
    path = PREDICT["people"]
    assert served.ask(path, {"instances": [ROW, OTHER]})["predictions"] == wanted
    columns = {name: [ROW[name], OTHER[name]] for name in ROW}
    assert served.ask(path, {"inputs": columns})["outputs"]["label"] == [answer["label"] for answer in wanted]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"instances": [ROW, {**ROW, "age": "old"}]}, r"instances[1].age: `age` is 'old'"),
        ({"instances": [{**ROW, "agee": 3}]}, "instances[0]: there is no column `agee`"),
        ({"instances": [ROW, {"age": 3}]}, "instances[1]: the column `city` is missing"),
        ({"instances": [{**ROW, "age": [3]}]}, "instances[0].age: a number"),
        ({"instances": [3]}, "instances[0]: an object of columns"),
        ({"inputs": {**{name: [ROW[name]] for name in ROW}, "age": [1, 2]}}, "not of one length"),
        ({"inputs": [ROW]}, "an object of columns is needed, each a list"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_with_its_place(served: Served, body: Any, words: str) -> None:
    status, message = served.refused(PREDICT["people"], body)
    assert status == 400
    assert words in message


def test_an_image_is_asked_in_every_form_with_one_answer(served: Served, folders: dict[str, Path]) -> None:
    encoded = base64.b64encode(picture()).decode()
    path = PREDICT["shades"]
    wanted = runtimes.load(folders["shades"], threads=1).predict([{"image": encoded}])[0]
    forms: list[tuple[Any, str]] = [
        ({"instances": [{"image": {"b64": encoded}}]}, "application/json"),
        ({"instances": [{"b64": encoded}]}, "application/json"),
        ({"instances": [{"image": f"data:image/png;base64,{encoded}"}]}, "application/json"),
        (picture(), "image/png"),
        (picture(), "application/octet-stream"),
    ]
    for body, kind in forms:
        found = served.ask(path, body, kind)["predictions"][0]
        assert found["label"] == wanted.label
        assert found["scores"] == pytest.approx(dict(wanted.scores), abs=1e-5)
    assert served.ask(path, {"inputs": {"image": [{"b64": encoded}] * 3}})["outputs"]["label"] == [wanted.label] * 3


def test_what_is_no_image_is_refused_and_the_others_of_its_batch_are_not(served: Served) -> None:
    good = {"image": {"b64": base64.b64encode(picture()).decode()}}
    for item in ({"b64": "!!"}, {"b64": base64.b64encode(b"text").decode()}, {"b64": ""}, 3, {"b64": 3}):
        status, message = served.refused(PREDICT["shades"], {"instances": [good, {"image": item}]})
        assert status == 400
        assert message.startswith("instances[1]")
    assert served.refused(PREDICT["shades"], b"GIF89a nonsense", "image/gif")[0] == 400
    assert served.refused(PREDICT["people"], picture(), "image/png")[0] == 415
    large = {"instances": [{"b64": "A" * (12 << 20)}]}
    assert served.refused(PREDICT["shades"], large)[0] == 413


def test_a_chat_is_asked_as_instances_and_in_openais_form(served: Served, folders: dict[str, Path]) -> None:
    predictor = runtimes.load(folders["talker"], threads=1)
    wanted = predictor.predict([{"messages": TALK, "max_new_tokens": 6}])[0]
    found = served.ask(PREDICT["talker"], {"instances": [{"messages": TALK, "max_new_tokens": 6}]})
    assert found["predictions"] == [wanted.to_json()]
    body = {"model": "talker", "messages": TALK, "max_tokens": 6, "temperature": 0, "n": 1, "user": "u"}
    reply = served.ask("/v1/chat/completions", body)
    assert reply["choices"][0]["message"] == {"role": "assistant", "content": wanted.text}
    assert reply["choices"][0]["finish_reason"] == wanted.finish
    assert reply["usage"] == {
        "prompt_tokens": wanted.read, "completion_tokens": wanted.tokens, "total_tokens": wanted.read + wanted.tokens,
    }  # fmt: skip
    parts = [{"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "da"}]}]
    assert served.ask("/v1/chat/completions", {**body, "messages": parts})["choices"] == reply["choices"]
    texts = served.ask("/v1/completions", {"prompt": ["Ada", "Ben likes"], "max_tokens": 4, "seed": 3})
    alone = [
        predictor.predict([{"prompt": text, "max_new_tokens": 4, "seed": 3}])[0].text for text in ("Ada", "Ben likes")
    ]
    assert [choice["text"] for choice in texts["choices"]] == alone


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_a_stream_is_the_whole_answer_in_pieces(served: Served, path: str) -> None:
    asked = {"messages": TALK} if "chat" in path else {"prompt": "Ada likes"}
    body = {**asked, "max_tokens": 8, "stop": ["zzz"]}
    whole = served.ask(path, body)["choices"][0]
    options = {"stream": True, "stream_options": {"include_usage": True}}
    status, data, kind = served.send("POST", path, {**body, **options})
    assert (status, kind) == (200, "text/event-stream; charset=utf-8")
    events = [event.removeprefix("data: ") for event in data.decode().split("\n\n") if event]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert chunks[-1]["usage"]["completion_tokens"] > 0
    said = [chunk["choices"][0] for chunk in chunks[:-1]]
    if "chat" in path:
        assert said[0]["delta"]["role"] == "assistant"
        assert "".join(one["delta"].get("content", "") for one in said) == whole["message"]["content"]
    else:
        assert "".join(one["text"] for one in said) == whole["text"]
    assert [one["finish_reason"] for one in said[:-1]] == [None] * (len(said) - 1)
    assert said[-1]["finish_reason"] == whole["finish_reason"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tools": [{"type": "function"}]}, "`tools` is not supported"),
        ({"n": 2}, "`n` is not supported"),
        ({"n": True}, "`n` is not supported"),
        ({"max_token": 3}, "did you mean `max_tokens`"),
        ({"temperature": 11}, "chat[0].temperature"),
        ({"stop": [""]}, "chat[0].stop"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "chat[0].messages[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "content: only parts of text",
        ),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "lone surrogate"),
        ({"stream": "yes"}, "`stream` is true or false"),
        ({"model": "other"}, "no such model"),
        ({"model": "people"}, "no such model"),
        ({"max_tokens": 5000}, "5000 tokens are asked"),
    ],
)
def test_what_is_not_supported_is_refused_by_its_name(served: Served, change: Any, words: str) -> None:
    status, message = served.refused("/v1/chat/completions", {"messages": TALK, **change})
    assert status in (400, 404, 413)
    assert words in message


def test_the_page_metadata_and_openapi_follow_what_each_model_reads(served: Served) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    described = json.loads(served.send("GET", "/openapi.json")[1])
    schemas = described["components"]["schemas"]

    def fits(name: str, value: object) -> bool:
        schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
        return bool(jsonschema.Draft202012Validator(schema).is_valid(value))

    assert fits("PredictRequest_people", {"instances": [ROW]})
    assert not fits("PredictRequest_people", {"instances": ["text"]})
    assert fits("PredictRequest_shades", {"instances": [{"image": {"b64": "aaaa"}}]})
    assert fits("PredictRequest_talker", {"instances": [{"messages": TALK, "max_new_tokens": 3}]})
    assert fits("ChatCompletion", {"messages": TALK, "max_tokens": 3, "stream": True})
    assert {"/v1/chat/completions", "/v1/completions"} < described["paths"].keys()
    assert "/v1/embeddings" not in described["paths"]
    assert "Error" in schemas
    metadata = json.loads(served.send("GET", "/v1/models/people/metadata")[1])
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert {name: about["dtype"] for name, about in signature["inputs"].items()}["income"] == "DT_DOUBLE"
    page = served.send("GET", "/docs")[1].decode()
    assert '"kind": "table"' in page
    assert '"income"' in page
    assert '"chats": true' in page
    assert "--data-binary @image.png" in page
    listed = json.loads(served.send("GET", "/v1/models")[1])
    assert [model["id"] for model in listed["data"]] == ["people", "shades", "talker"]


def test_predict_asks_a_table_file_and_says_which_rows_it_cannot_read(folders: dict[str, Path], tmp_path: Path) -> None:
    rows = people(6, 3)
    with (tmp_path / "people.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows([*rows[:3], {**rows[3], "age": "old"}, *rows[4:]])
    done = modelyard("predict", folders["people"], "--file", "people.csv", "--jsonl", cwd=tmp_path, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 4
    assert len(lines) == 6
    assert lines[3]["error"]["where"] == "people.csv:5.age"
    assert all(line["label"] in ("yes", "no") for place, line in enumerate(lines) if place != 3)
    assert "1 of 6 records" in done.stderr
    wanted = runtimes.load(folders["people"], threads=1).predict([rows[0]])[0].to_json()
    assert lines[0] == wanted


def test_predict_asks_about_image_files_and_chats(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    found = modelyard("predict", folders["shades"], "a.png", "--json", cwd=tmp_path).stdout
    wanted = runtimes.load(folders["shades"], threads=1).predict([{"image": picture()}])[0]
    assert json.loads(found)["predictions"][0]["label"] == wanted.label
    refused = modelyard("predict", folders["shades"], "none.png", cwd=tmp_path, check=False)
    assert refused.returncode == 4
    assert "no such image file" in refused.stderr
    (tmp_path / "t.csv").write_text("id,question\n1,Ada\n2,Ben\n")
    asked = ["--file", "t.csv", "--column", "question", "--jsonl"]
    lines = modelyard("predict", folders["talker"], *asked, cwd=tmp_path).stdout.splitlines()
    assert [json.loads(line)["finish"] for line in lines] == ["length", "length"]
