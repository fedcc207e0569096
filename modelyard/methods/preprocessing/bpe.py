"""Learning a tokenizer: byte-pair encoding over characters (Sennrich, Haddow & Birch 2016).

BPE because its training is reproducible: WordPiece and Unigram of the same library give other merges on other runs.
Rare characters fall back to their UTF-8 bytes, so that no text is unknown. The file loads in transformers as it is.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from modelyard.methods.preprocessing.scripts import HAN

PAD, UNKNOWN, START, END, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL = (PAD, UNKNOWN, START, END, MASK)
BYTES = tuple(f"<0x{value:02X}>" for value in range(256))


def learn(
    texts: Sequence[str], vocabulary_size: int, han: str = "characters", max_chars: int = 20_000, cased: bool = False
) -> Any:
    """A `tokenizers.Tokenizer` learned from training texts.

    Args:
        vocabulary_size: tokens in all, the 5 special ones and 256 bytes included; grows if the characters that
            occur at least twice are more.
        han: `characters` keeps every Han character a token of its own; `words` lets frequent runs of them merge.
        cased: upper and lower case are told apart, as names need it.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN, byte_fallback=True, fuse_unk=False))
    lower = [] if cased else [normalizers.Lowercase()]
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), *lower])
    tokenizer.pre_tokenizer = _pre_tokenizer(han)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        special_tokens=list(SPECIAL + BYTES),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_without_rare_characters(texts, max_chars, cased), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        pair=f"{START} $A {END} $B:1 {END}:1",
        special_tokens=[(START, SPECIAL.index(START)), (END, SPECIAL.index(END))],
    )
    return tokenizer


def _pre_tokenizer(han: str) -> Any:
    """Cut at spaces and between Han and other scripts; punctuation marks and digits stand alone."""
    pattern = f"[{HAN}]" if han == "characters" else f"[{HAN}]+"
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.Punctuation("isolated"),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )


def _without_rare_characters(texts: Sequence[str], max_chars: int, cased: bool) -> Iterator[str]:
    """Characters that occur once would only fill the alphabet (the library's own limit breaks ties at random)."""
    normal = [unicodedata.normalize("NFKC", text[:max_chars]) for text in texts]
    normal = normal if cased else [text.lower() for text in normal]
    counts = Counter(character for text in normal for character in text)
    rare = {ord(character): " " for character, count in counts.items() if count < 2}
    return (text.translate(rare) for text in normal)
