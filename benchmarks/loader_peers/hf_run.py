"""Hugging Face: datasets.map with worker processes first, then batches of like length, padded; arguments as ours."""

import os
import sys

import torch
from device import Device


def main():
    source, scratch, tokenizer, rate, _, workers, length, rows = sys.argv[1:9]
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_DATASETS_CACHE"] = scratch
    os.environ["HF_HUB_OFFLINE"] = "1"
    from datasets import disable_progress_bars, load_dataset
    from torch.utils.data import DataLoader
    from transformers import DataCollatorWithPadding, PreTrainedTokenizerFast
    from transformers.trainer_pt_utils import LengthGroupedSampler

    disable_progress_bars()
    made = PreTrainedTokenizerFast(tokenizer_file=tokenizer, pad_token="[PAD]", model_max_length=int(length))
    device = Device(float(rate))

    def tokenize(batch):
        found = made(batch["text"], truncation=True, max_length=int(length), return_token_type_ids=False)
        return {**found, "length": [len(ids) for ids in found["input_ids"]]}

    raw = load_dataset("parquet", data_files=f"{source}/all/*.parquet", split="train", cache_dir=scratch)
    data = raw.map(tokenize, batched=True, num_proc=int(workers), remove_columns=raw.column_names)
    lengths = data["length"][:] if not isinstance(data["length"], list) else data["length"]
    data = data.remove_columns(["length"]).with_format("torch")
    sampler = LengthGroupedSampler(int(rows), lengths=list(lengths), generator=torch.Generator().manual_seed(1))
    loader = DataLoader(
        data, int(rows), sampler=sampler, num_workers=int(workers), collate_fn=DataCollatorWithPadding(made),
        persistent_workers=True, prefetch_factor=8,
    )  # fmt: skip
    for _ in range(2):
        for batch in loader:
            device.step(batch["input_ids"].numel(), int(batch["attention_mask"].sum()), len(batch["input_ids"]))
        device.end_epoch()
    device.tell()


if __name__ == "__main__":
    main()
