"""The peer with a protocol: KServe's model server over ONNX Runtime, v1 protocol, its own defaults but for the log.

`predict` is a plain method, which KServe runs in its thread pool; the rows of a request are one batch.

    python kserve_model.py MODEL PORT THREADS
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from kserve import Model, ModelServer
from tokenizers import Tokenizer


class Reviews(Model):
    def __init__(self, folder: Path, threads: int) -> None:
        super().__init__("reviews")
        self.card = json.loads((folder / "model.json").read_text())
        self.tokenizer = Tokenizer.from_file(str(folder / self.card["preprocessing"]["tokenizer"]))
        self.tokenizer.enable_truncation(self.card["preprocessing"]["max_length"])
        self.tokenizer.enable_padding(pad_id=self.card["preprocessing"]["pad_id"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        path = str(folder / "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = {value.name for value in self.session.get_inputs()}
        self.ready = True

    def predict(self, payload: dict, headers: dict | None = None, response_headers: dict | None = None) -> dict:
        encodings = self.tokenizer.encode_batch([row["text"] for row in payload["instances"]])
        arrays = {
            "input_ids": np.array([encoding.ids for encoding in encodings]),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings]),
        }
        logits = self.session.run(None, {name: arrays[name] for name in self.names})[0]
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
        labels = self.card["labels"]
        rows = [dict(zip(labels, row.tolist(), strict=True)) for row in scores]
        return {"predictions": [{"label": max(row, key=row.get), "scores": row} for row in rows]}


if __name__ == "__main__":
    server = ModelServer(http_port=int(sys.argv[2]), enable_grpc=False, workers=1, access_log_format=None)
    server.start([Reviews(Path(sys.argv[1]), int(sys.argv[3]))])
