"""torch.utils.data.DataLoader: texts tokenized by the workers when a batch is made; arguments as ours."""

import os
import sys
from pathlib import Path

import pyarrow.parquet as pq
import torch
from device import Device
from tokenizers import Tokenizer
from torch.utils.data import DataLoader


class Texts(torch.utils.data.Dataset):
    def __init__(self, source):
        self.column = pq.read_table(Path(source) / "all", columns=["text"]).column("text").combine_chunks()

    def __len__(self):
        return len(self.column)

    def __getitems__(self, rows):
        return [text or "" for text in self.column.take(rows).to_pylist()]


class Collate:
    def __init__(self, file, length):
        self.tokenizer = Tokenizer.from_file(file)
        self.tokenizer.enable_truncation(length)
        self.tokenizer.enable_padding(pad_id=0)

    def __call__(self, texts):
        found = self.tokenizer.encode_batch_fast(texts)
        mask = torch.tensor([one.attention_mask for one in found])
        return {"input_ids": torch.tensor([one.ids for one in found]), "attention_mask": mask}


def main():
    source, _, tokenizer, rate, _budget, workers, length, rows = sys.argv[1:9]
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    device = Device(float(rate))
    loader = DataLoader(
        Texts(source), int(rows), shuffle=True, num_workers=int(workers), collate_fn=Collate(tokenizer, int(length)),
        persistent_workers=True, prefetch_factor=8, generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    for batch in loader:
        device.step(batch["input_ids"].numel(), int(batch["attention_mask"].sum()), len(batch["input_ids"]))
    device.end_epoch()
    device.epochs *= 2  # it tokenizes anew in every epoch: one is as the other
    device.tell()


if __name__ == "__main__":
    main()
