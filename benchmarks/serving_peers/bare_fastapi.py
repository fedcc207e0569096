"""The bare peer: FastAPI over ONNX Runtime, as its documentation would have it, one prediction a request.

A `def` route, which FastAPI runs in its thread pool; uvicorn with uvloop and httptools and no access log; ONNX Runtime
with its threads as it chooses (all cores) or as given. No batching, no limits, no metrics.

    python bare_fastapi.py MODEL PORT THREADS
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import Tokenizer

folder, port, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
card = json.loads((folder / "model.json").read_text())
tokenizer = Tokenizer.from_file(str(folder / card["preprocessing"]["tokenizer"]))
tokenizer.enable_truncation(card["preprocessing"]["max_length"])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
names = {value.name for value in session.get_inputs()}
app = FastAPI()


class Instance(BaseModel):
    text: str


class Request(BaseModel):
    instances: list[Instance]


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "alive"}


@app.post("/v1/models/reviews:predict")
def predict(request: Request) -> dict:
    predictions = []
    for instance in request.instances:
        ids = tokenizer.encode(instance.text).ids
        arrays = {"input_ids": np.array([ids]), "attention_mask": np.ones((1, len(ids)), np.int64)}
        logits = session.run(None, {name: arrays[name] for name in names})[0][0]
        scores = np.exp(logits - logits.max())
        scores /= scores.sum()
        found = dict(zip(card["labels"], scores.tolist(), strict=True))
        predictions.append({"label": max(found, key=found.get), "scores": found})
    return {"predictions": predictions}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False, loop="uvloop", http="httptools")
