"""Instruction tuning with LoRA as TRL's SFTTrainer does it. Arguments: one JSON."""

import json
import tempfile
from pathlib import Path

import torch
import transformers
from clock import Clock, job
from datasets import Dataset
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer


class Steps(transformers.TrainerCallback):
    def __init__(self, clock):
        self.clock = clock

    def on_step_end(self, *args, **kwargs):
        self.clock.step()


def main():
    given = job()
    torch.set_num_threads(given["threads"])
    transformers.utils.logging.set_verbosity_error()
    chats = json.loads(Path(given["chats"]).read_text())
    own = {}
    if given["best"]:
        own = {"bf16": given["bf16"], "optim": "adamw_torch_fused", "per_device_train_batch_size": given["lines"]}
        if given["packing"]:
            own["packing"] = True
        else:
            own |= {"train_sampling_strategy": "group_by_length", "per_device_train_batch_size": given["batch"]}
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        tokenizer = transformers.AutoTokenizer.from_pretrained(given["model"])
        model = transformers.AutoModelForCausalLM.from_pretrained(given["model"], dtype=torch.float32)
        arguments = SFTConfig(
            output_dir=folder,
            num_train_epochs=1,
            max_length=given["context"],
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            gradient_checkpointing=False,
            bf16=own.pop("bf16", False),
            **own,
        )
        peer = SFTTrainer(
            model,
            arguments,
            train_dataset=Dataset.from_list([{"messages": turns} for turns in chats]),
            processing_class=tokenizer,
            peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
            callbacks=[Steps(clock)],
        )
        peer.train()
        clock.tell(len(chats))


if __name__ == "__main__":
    main()
