"""Pretraining and images as the Hugging Face Trainer does them. Arguments: one JSON."""

import tempfile

import numpy as np
import torch
import transformers
from clock import Clock, job


class Steps(transformers.TrainerCallback):
    def __init__(self, clock):
        self.clock = clock

    def on_step_end(self, *args, **kwargs):
        self.clock.step()


def flags(given, **own):
    """`best`: what its documentation advises for speed; else its defaults."""
    if not given["best"]:
        return own
    return {**own, "bf16": given["bf16"], "optim": "adamw_torch_fused", "torch_compile": given.get("compile", False)}


def run(given, clock, model, data, folder, **own):
    arguments = transformers.TrainingArguments(
        output_dir=folder,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        learning_rate=1e-3,
        **flags(given, **own),
    )
    peer = transformers.Trainer(
        model, arguments, train_dataset=data, data_collator=transformers.default_data_collator, callbacks=[Steps(clock)]
    )
    peer.train()


def language(given, clock, folder):
    """Lines cut from all texts end to end, as transformers' run_clm does."""
    model = transformers.AutoModelForCausalLM.from_pretrained(given["model"], dtype=torch.float32)
    lines, context = given["lines"], given["context"]
    rows = np.load(given["ids"])[: given["steps"] * lines * context].reshape(-1, context)
    data = [{"input_ids": row.tolist(), "labels": row.tolist()} for row in rows]
    size = lines if given["best"] else 8
    run(given, clock, model, data, folder, num_train_epochs=1, per_device_train_batch_size=size)
    return rows.size


def images(given, clock, folder):
    model = transformers.AutoModelForImageClassification.from_config(
        transformers.AutoConfig.from_pretrained(given["config"])
    )
    pixels, labels = np.load(given["pixels"]), np.load(given["labels"])
    data = [
        {"pixel_values": torch.from_numpy(one), "labels": int(label)} for one, label in zip(pixels, labels, strict=True)
    ]
    size = given["batch"] if given["best"] else 8
    run(given, clock, model, data, folder, num_train_epochs=given["epochs"], per_device_train_batch_size=size)
    return len(data) * given["epochs"]


def main():
    given = job()
    torch.set_num_threads(given["threads"])
    transformers.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        clock.tell({"language": language, "images": images}[given["kind"]](given, clock, folder))


if __name__ == "__main__":
    main()
