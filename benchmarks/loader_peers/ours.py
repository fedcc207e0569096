"""Our loader: `ours.py DATA SCRATCH TOKENIZER RATE BATCH_TOKENS WORKERS MAX_LENGTH KIND`."""

import sys
from pathlib import Path

from device import Device

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.training.loader.feeding import Loader
from modelyard.methods.training.loader.plans import Layout
from modelyard.methods.training.loader.store import Reading, TokenStore, folder_for


def main():
    source, scratch, tokenizer, rate, budget, workers, length, kind = sys.argv[1:9]
    data = Dataset.open(Path(source))
    reading = Reading(Path(tokenizer).read_text(), int(length))
    device = Device(float(rate))
    folder = folder_for(Path(scratch), data, "all", "text", reading)
    store = TokenStore(folder, data, "all", "text", reading, int(workers))
    loader = Loader(store, Layout(kind, int(budget), int(length)), seed=1, depth=16)
    for _ in range(2):
        for loaded in loader:
            device.step(loaded.inputs["input_ids"].numel(), loaded.num_tokens, len(loaded.rows))
        device.end_epoch()
    store.close()
    device.tell()


if __name__ == "__main__":
    main()
