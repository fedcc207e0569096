"""Takes batches from a loader and prints state and digest of each, until it is done or killed.

python load_and_print.py DATA SCRATCH TOKENIZER KIND WORKERS EPOCHS [STATE]
"""

import hashlib
import json
import sys
from pathlib import Path

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.training.loader import store as store_module
from modelyard.methods.training.loader.feeding import Loader
from modelyard.methods.training.loader.plans import Layout
from modelyard.methods.training.loader.store import Reading, TokenStore, folder_for


def main() -> None:
    store_module.PIECE_ROWS = 25
    data = Dataset.open(Path(sys.argv[1]))
    reading = Reading(Path(sys.argv[3]).read_text(), 64)
    folder = folder_for(Path(sys.argv[2]), data, "train", "text", reading)
    store = TokenStore(folder, data, "train", "text", reading, int(sys.argv[5]))
    loader = Loader(store, Layout(sys.argv[4], 256, 48, window=2), seed=5)  # type: ignore[arg-type]
    if len(sys.argv) > 7:
        loader.load_state_dict(json.loads(sys.argv[7]))
    while loader.epoch < int(sys.argv[6]):
        for loaded in loader:
            digest = hashlib.sha256()
            for name in sorted(loaded.inputs):
                digest.update(loaded.inputs[name].numpy().tobytes())
            sys.stdout.write(json.dumps({"state": loader.state_dict(), "digest": digest.hexdigest()}) + "\n")
            sys.stdout.flush()
    store.close()


if __name__ == "__main__":
    main()
