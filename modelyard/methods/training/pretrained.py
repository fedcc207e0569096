"""Fine-tuning a pretrained encoder: a local Hugging Face folder or a model of the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from modelyard.base.canonical import digest_file
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.preprocessing import tokens
from modelyard.methods.training import classification, devices, evaluation, loop, neural
from modelyard.methods.training.candidates import Candidate
from modelyard.methods.training.fair.arranging import Fair
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.random import seed_torch
from modelyard.methods.training.settings import ClassWeights, Freeze

RATE_TIMES_WIDTH = 0.06
"""The usual learning rate times the encoder's width: 8e-5 at 768, 1.6e-4 at 384 (matrices want a rate that falls with
the width: Yang et al. 2022, "Tensor Programs V")."""
_KNOWN = re.compile(r".+\.(json|safetensors|txt|model)")


def locate(base: str, project: Path) -> Path:
    """The folder of `base`: a path (relative ones start at the project), else a hub id, fetched if it is not cached.

    Raises:
        InputError: it is no folder with a model, and the hub does not have it or cannot be reached.
    """
    folder = (project / Path(base).expanduser()).resolve()
    if folder.is_dir():
        return folder
    from modelyard.methods.data.hubs.models import model_folder, parse

    named = parse(base)
    if named is None:
        raise InputError(
            t("no folder `{base}`", base=base), where="base", expected=t("a Hugging Face folder, or an id of the hub")
        )
    try:
        return model_folder(*named)
    except InputError as error:
        first = error.problems[0]
        raise InputError(
            t("`{base}` is neither a folder nor to be had from the hub: {error}", base=base, error=first.found),
            where="base",
            expected=first.expected or t("a Hugging Face folder, or an id of the hub and a network"),
            remedy=first.remedy or t("download the model where there is a network and name its folder"),
        ) from None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def fingerprint(base: str, project: Path) -> list[list[str]]:
    """Name and digest of every file of the base that can matter."""
    folder = locate(base, project)
    found = (path for path in sorted(folder.iterdir()) if path.is_file() and _KNOWN.fullmatch(path.name))
    return [[path.name, digest_file(path)] for path in found]


def open_base(
    folder: Path, num_labels: int, dropout: float | None, seed: int, kind: str = "AutoModelForSequenceClassification"
) -> tuple[Any, Any]:
    """(model with a fresh head for `num_labels`, tokenizer), as transformers makes them, in fp32.

    Args:
        seed: decides the weights that the folder lacks (a pooler, say), whatever was drawn before.
        kind: transformers' class that opens it.

    Raises:
        InputError: the folder is not a text encoder, brings code, or its tokenizer does not fit its embeddings.
    """
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if not (folder / "config.json").is_file():
        raise InputError(
            t("no config.json in the folder"), where=str(folder), expected=t("a Hugging Face folder"), remedy=_remedy()
        )
    try:
        local = {"local_files_only": True, "trust_remote_code": False}
        config = transformers.AutoConfig.from_pretrained(folder, num_labels=num_labels, **local)
        if dropout is not None:
            for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout"):
                if hasattr(config, name):
                    setattr(config, name, dropout)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
        with devices.reproducible(torch.device("cpu"), torch.get_num_threads()):
            seed_torch(seed, "base", 0)
            model = getattr(transformers, kind).from_pretrained(
                folder, config=config, use_safetensors=True, dtype=torch.float32, ignore_mismatched_sizes=True, **local
            )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise InputError(
            t("transformers cannot load it: {error}", error=_first_line(error)),
            where=str(folder),
            expected=t("a text encoder that transformers has a class for, with model.safetensors and a tokenizer"),
            remedy=_remedy(),
        ) from None
    _check_tokenizer(folder, model, tokenizer)
    return model, tokenizer


def _remedy() -> str:
    return t("check that the folder holds config.json, model.safetensors and tokenizer.json of one model")


def _check_tokenizer(folder: Path, model: Any, tokenizer: Any) -> None:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise InputError(
            t("the tokenizer has no fast form"), where=str(folder), expected="tokenizer.json", remedy=_remedy()
        )
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise InputError(
            t("the tokenizer knows {found} tokens, the model {expected}", found=len(tokenizer), expected=rows),
            where=str(folder),
            expected=t("a tokenizer and a model that belong together"),
            remedy=_remedy(),
        )


def defaults_for(model: Any) -> neural.Defaults:
    """What fine-tunes this encoder well on some thousand rows."""
    width = getattr(model.config, "hidden_size", None) or model.get_input_embeddings().weight.shape[1]
    return neural.Defaults(learning_rate=RATE_TIMES_WIDTH / width, batch_size=32, epochs=8, dropout=0.1)


def max_length_of(model: Any, wanted: int) -> int:
    """Tokens a text may have: what was wanted, or less if the model has fewer positions."""
    positions = getattr(model.config, "max_position_embeddings", None) or wanted
    # RoBERTa's family counts positions from the padding id on.
    offset = 2 if model.config.model_type in ("roberta", "xlm-roberta", "camembert") else 0
    return min(wanted, int(positions) - offset)


def freeze(model: Any, what: Freeze) -> None:
    """Keep parameters as they are: the embeddings, or all but the classification head."""
    if what == "nothing":
        return
    part = model.base_model if what == "encoder" else model.get_input_embeddings()
    for parameter in part.parameters():
        parameter.requires_grad = False


def fast_tokenizer(tokenizer: Any, max_length: int) -> tokens.Tokens:
    """A copy of the tokenizer in the form the preprocessor reads."""
    copy = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    return tokens.wrap(copy, max_length, int(tokenizer.pad_token_id or 0))


def train(
    model: Any,
    tokenizer: Any,
    reading: neural.Reading,
    plan: loop.Plan,
    class_weights: ClassWeights,
    frozen: Freeze,
    device: torch.device,
    scratch: Path,
    hooks: Hooks,
    soft: NDArray[np.float32] | None = None,
    renew: classification.Renewal | None = None,
    fair: Fair | None = None,
) -> Candidate:
    """Fine-tune a model of `open_base`."""
    with devices.reproducible(torch.device("cpu"), plan.threads):
        seed_torch(plan.seed, "weights", 0)
        fresh_head(model)
    freeze(model, frozen)
    outcome = classification.train(
        model, reading.training, reading.validation, plan, device, scratch, hooks, class_weights, soft, renew, fair
    )
    return Candidate(
        name="base",
        module=model.cpu().eval(),
        network={},
        preprocessors=(reading.tokens,),
        logits=outcome.logits,
        metrics=evaluation.scores(outcome.logits, reading.validation.labels),
        details={**neural.run_details(plan, outcome), "freeze": frozen},
        huggingface=(model, tokenizer),
    )


def fresh_head(model: Any) -> None:
    """New weights for what is not part of the encoder, from our own seed (a base may carry another task's head)."""
    base = {id(parameter) for parameter in model.base_model.parameters()}
    for name, parameter in model.named_parameters():
        if id(parameter) in base:
            continue
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=getattr(model.config, "initializer_range", 0.02))
        elif not name.endswith("weight"):
            torch.nn.init.zeros_(parameter)
