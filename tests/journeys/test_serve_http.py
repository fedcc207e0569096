"""From a model folder to answers over HTTP: the real predictor, its golden self-test, and a client that counts."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from modelyard.methods import networks, runtimes
from modelyard.methods.preprocessing import bpe
from modelyard.methods.preprocessing.tokens import FILE, Tokens
from modelyard.methods.runtimes.golden import write_golden
from modelyard.methods.runtimes.model_folder import GOLDEN, ModelCard

TEXTS = ["很好看，推荐", "质量太差了，再也不买", "还可以吧 just ok", "物流快 😀", "a", "", "不错" * 40, "差评！！！"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small encoder classifier with random weights, as training writes it."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(5)
    tokenizer = bpe.learn(TEXTS * 3, 600)
    tokenizer.save(str(folder / FILE))
    spec = Tokens(tokenizer, 64, 0, 4096).spec()
    network = {
        "kind": "encoder",
        "config": {
            "model_type": "bert",
            "vocab_size": tokenizer.get_vocab_size(),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 64,
            "num_labels": 2,
        },
    }
    networks.save(networks.build(network), folder)
    ModelCard("text-classification", "modelyard", ("neg", "pos"), spec, network).write(folder)
    write_golden(folder, [{"text": text} for text in TEXTS])
    return folder


class Served:
    """`modelyard serve` in a process."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "modelyard", "serve", str(folder), "--port", "0", *options]
        environment = {**os.environ, "MODELYARD_LANG": "en", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder.parent)
        self.said: list[str] = []
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if line.startswith("serving "):
                self.name, self.port = line.split()[1], int(line.rsplit(":", 1)[1])
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return

    def ask(
        self, body: object, connection: http.client.HTTPConnection | None = None
    ) -> dict[str, list[dict[str, object]]]:
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", f"/v1/models/{self.name}:predict", json.dumps(body))
        reply = connection.getresponse()
        answer = json.loads(reply.read())
        assert reply.status == 200, answer
        self.digest = reply.getheader("x-model-digest")
        return dict(answer)


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    served = Served(folder)
    try:
        yield served
    finally:
        served.process.kill()
        served.process.wait()


def test_the_server_gives_the_predictors_answers_and_names_its_bytes(served: Served, folder: Path) -> None:
    predictor = runtimes.load(folder, threads=1)
    wanted = predictor.predict([{"text": text} for text in TEXTS])
    found = served.ask({"instances": TEXTS})["predictions"]
    assert served.digest == predictor.digest
    for answer, want in zip(found, wanted, strict=True):
        assert answer["label"] == want.label
        assert answer["scores"] == pytest.approx(dict(want.scores), abs=1e-5)
    predictor.close()


def test_many_clients_at_once_each_get_the_answer_of_a_row_alone(served: Served) -> None:
    alone = [served.ask({"instances": [text]})["predictions"][0] for text in TEXTS]
    failures: list[object] = []

    def client(start: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
        for step in range(20):
            index = (start + step) % len(TEXTS)
            answer = served.ask({"instances": [TEXTS[index]]}, connection)["predictions"][0]
            scores, wanted = answer["scores"], alone[index]["scores"]
            if answer["label"] != alone[index]["label"] or scores != pytest.approx(wanted, abs=1e-5):
                failures.append((index, answer))

    threads = [threading.Thread(target=client, args=(start,)) for start in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_sigterm_ends_the_process_with_success(folder: Path) -> None:
    served = Served(folder)
    served.ask({"instances": ["好"]})
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(20) == 0


def test_a_model_that_answers_otherwise_than_when_it_was_made_is_not_served(folder: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(folder, changed)
    golden = json.loads((changed / GOLDEN).read_text())
    golden["predictions"][1]["scores"] = {"neg": 0.123, "pos": 0.877}
    (changed / GOLDEN).write_text(json.dumps(golden))
    served = Served(changed)
    assert served.process.wait(20) == 8
    said = "".join(served.said)
    assert "golden.json[1]" in said
    assert "Traceback" not in said


def test_a_taken_port_and_a_remote_address_are_refused_with_a_remedy(folder: Path, served: Served) -> None:
    for options, word in ((["--port", str(served.port)], "port"), (["--host", "0.0.0.0"], "--allow-remote")):
        refused = Served(folder, *options)
        assert refused.process.wait(20) == 8
        assert word in "".join(refused.said)
