"""Tokenizers for models that write: what they read, they can give back letter by letter.

`learn_bytes` is byte-pair encoding over UTF-8 bytes (Radford et al. 2019, section 2.2), `characters` gives every
character of the training texts a token and spells all others in bytes. Neither changes case, width or spaces.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

END, PAD, TURN_START, TURN_END = "<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END, PAD, TURN_START, TURN_END)
"""The end of a document (and what stands before one), padding, and the marks around a turn of a chat (ChatML)."""
BYTES = tuple(f"<0x{value:02X}>" for value in range(256))


def learn_bytes(texts: Iterable[str], vocabulary_size: int) -> Any:
    """A byte-level BPE `tokenizers.Tokenizer` learned from training texts.

    Args:
        vocabulary_size: tokens in all, the 4 special ones and 256 bytes included.
    """
    tokenizer = Tokenizer(models.BPE())
    # Digits alone, so that a number is spelled the same way wherever it stands.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _after_mark(tokenizer)


def characters(texts: Iterable[str]) -> Any:
    """A `tokenizers.Tokenizer` with a token for each character that occurs in the texts."""
    found: set[str] = set()
    for text in texts:
        found.update(text)
    tokens = [*SPECIAL, *BYTES, *sorted(found)]
    vocabulary = {token: place for place, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True, fuse_unk=False))
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return _after_mark(tokenizer)


def _after_mark(tokenizer: Any) -> Any:
    """Every text begins after the mark, so that its first token is learned, and can be written, too."""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END} $A", pair=f"{END} $A $B", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return tokenizer
