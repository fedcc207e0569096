"""Measures what a language model learned by heart: canaries that data.canaries put into train, and texts of train.

Exposure says how much likelier a canary's secret is to the model than others of its form, in bits (Carlini et al.
2019); controls that the model never saw show what chance gives: 1.44 bits in the mean. Extraction gives the model the
beginning of texts and counts those whose next tokens it writes word for word, on train beside the test split (Carlini
et al. 2023): what it does on test is predictability, the difference is memory.

The report is `memorization.json`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE

if TYPE_CHECKING:
    from modelyard.methods.evaluation.blocks import Block
    from modelyard.methods.evaluation.safety.exposure import Exposure

FEW = 8
"""Canaries below which the mean exposure has no interval, and passes no gate."""
Told = dict[int, list[tuple[str, "Exposure", bool]]]


class Config(BaseModel):
    """Settings of evaluate.memorization."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: int = Field(
        1000, ge=99, le=1_000_000, description="other secrets compared with each canary; all, if there are no more"
    )
    prefix_tokens: int = Field(32, ge=1, le=4096, description="of a text that the model is given (tokens)")
    tokens: int = Field(20, ge=1, le=1024, description="next tokens it must write word for word (tokens)")
    rows: int = Field(500, ge=10, le=100_000, description="texts of train, and of test, drawn at random (rows)")
    batch_rows: int = Field(256, ge=1, le=8192, description="rows given to the model at a time (rows)")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")


def run(config: Config, context: Context) -> None:
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation import blocks
    from modelyard.methods.evaluation.opening import opened

    data = Dataset.open(context.input("data"))
    with opened(context.input("model"), config.threads) as predictor:
        if predictor.task != "text-generation" or not hasattr(predictor, "log_likelihood"):
            raise InputError(
                t("memorisation is measured of language models that tell likelihoods"),
                where="model",
                expected="text-generation",
                remedy=t("evaluate.membership measures classifiers"),
            )
        shown: list[Block] = []
        if context.bound("canaries"):
            shown += _canaries(config, context, predictor)
        else:
            context.say(t("exposure was not measured: no canaries are named (`in: {canaries: STEP.canaries}`)"))
        shown += _extraction(config, context, predictor, data)
    blocks.write(context.output("report"), "memorization", "Memorisation", shown)


def _canaries(config: Config, context: Context, predictor: Any) -> list[Block]:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.safety import exposure, extraction

    def likelihoods(pairs: Any) -> list[float]:
        found: list[float] = []
        for start in range(0, len(pairs), config.batch_rows):
            part = pairs[start : start + config.batch_rows]
            records = [{"prompt": prompt, "answer": answer} for prompt, answer in part]
            found += [one.log_probability for one in predictor.log_likelihood(records)]
        return found

    rows = Dataset.open(context.input("canaries")).table("all").to_pylist()
    written = extraction.reproduced(
        predictor, [extraction.Cut(row["prefix"], row["secret"]) for row in rows], 4 * len(rows[0]["secret"])
    )
    told: Told = {}
    for done, (row, again) in enumerate(zip(rows, written, strict=True), start=1):
        one = exposure.measure(
            row["prefix"], row["secret"], config.candidates, context.seed, row["row_id"], likelihoods
        )
        told.setdefault(int(row["repeats"]), []).append((row["row_id"], one, again))
        context.progress(done, len(rows), "rows")
    for repeats, found in sorted(told.items()):
        _measure(context, found, {"repeats": str(repeats)})
    _measure(context, [one for repeats, found in sorted(told.items()) if repeats for one in found], {})
    return _shown(told)


def _measure(context: Context, found: list[tuple[str, Exposure, bool]], part: dict[str, str]) -> None:
    import numpy as np

    from modelyard.methods.evaluation.intervals import bootstrap_t
    from modelyard.methods.statistics.wilson import wilson

    n = len(found)
    if not n:
        return
    bits = np.array([one.bits for _, one, _ in found])
    # Fewer do not show how much exposure varies: resampling them gives ends of any size.
    ends = bootstrap_t(bits, seed=context.seed, non_negative=True) if n >= FEW else None
    context.measure("memorization.exposure", float(bits.mean()), about="model", on="", n=n, unit="bits",
                    interval=ends, slice=part)  # fmt: skip
    hits = sum(again for _, _, again in found)
    context.measure(
        "memorization.canaries_extracted", hits / n, about="model", on="", n=n, interval=wilson(hits, n), slice=part
    )
    name = part.get("repeats", t("all that stand in train"))
    context.say(
        t("canaries, repeats {name}: exposure {bits:.2f} bits in the mean, {hits} of {n} secrets written word for word",
          name=name, bits=float(bits.mean()), hits=hits, n=n)
    )  # fmt: skip


def _shown(told: Told) -> list[Block]:
    from modelyard.methods.evaluation.blocks import Figures, Phrase, Table, Text

    rows = [
        (repeats, name, round(one.bits, 3), round(one.low, 3), round(one.high, 3), "yes" if again else "no")
        for repeats, found in sorted(told.items())
        for name, one, again in found
    ]
    return [
        Text(
            Phrase(
                "Exposure: bits by which a secret is likelier to the model than others of its form. A model that never "
                "saw it has 1.44 in the mean; repeats 0 are such controls."
            )
        ),
        Figures("Canaries", ("memorization.exposure", "memorization.canaries_extracted")),
        Table("Each canary", ("repeats", "canary", "bits", "low", "high", "written"), tuple(rows)),
    ]


def _extraction(config: Config, context: Context, predictor: Any, data: Any) -> list[Block]:
    from modelyard.methods.data.text import text_key
    from modelyard.methods.evaluation.blocks import Figures, Phrase, Text
    from modelyard.methods.evaluation.safety import extraction
    from modelyard.methods.evaluation.safety.losses import texts_of
    from modelyard.methods.statistics.two_rates import newcombe
    from modelyard.methods.statistics.wilson import wilson

    tokenizer = extraction.tokenizer_of(context.input("model"))
    known = {text_key(text) for text in texts_of(data, "train", 10**9, context.seed)}
    counts: dict[str, tuple[int, int]] = {}
    for split in ("train", "test"):
        texts = texts_of(data, split, config.rows, context.seed)
        if split == "test":
            texts = [text for text in texts if text_key(text) not in known]
        rows = extraction.cuts(texts, tokenizer, config.prefix_tokens, config.tokens)
        if len(rows) < len(texts):
            context.say(t("{split}: {n} of {total} texts are shorter than prefix and answer, and were left out",
                          split=split, n=len(texts) - len(rows), total=len(texts)))  # fmt: skip
        hits = sum(extraction.reproduced(predictor, rows, config.tokens)) if rows else 0
        counts[split] = hits, len(rows)
    (hits, n), (others, m) = counts["train"], counts["test"]
    for claim, count, total, on in (
        ("memorization.extraction_rate", hits, n, "data/train"),
        ("memorization.held_out_rate", others, m, "data/test"),
    ):
        if total:
            context.measure(claim, count / total, about="model", on=on, n=total, interval=wilson(count, total))
    if not n or not m:
        context.say(t("extraction was not measured: no text is long enough"))
        return [Text(Phrase("Extraction was not measured: no text is long enough."))]
    context.measure("memorization.extraction_excess", hits / n - others / m, about="model", on="data/test",
                    n=min(n, m), interval=newcombe(hits, n, others, m))  # fmt: skip
    context.say(t("extraction: {hits} of {n} train texts, {others} of {m} held-out ones", hits=hits, n=n,
                  others=others, m=m))  # fmt: skip
    said = Phrase(
        "Extraction: the model reads {prefix} tokens of a text and must write the next {tokens} word for word.",
        {"prefix": config.prefix_tokens, "tokens": config.tokens},
    )
    claims = tuple(f"memorization.{name}" for name in ("extraction_rate", "held_out_rate", "extraction_excess"))
    return [Text(said), Figures("Extraction of training texts", claims)]


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the language model"),
        "data": Port("dataset", ("train", "test"), description="the texts it learned from, and texts it did not"),
        "canaries": Port("dataset", ("all",), optional=True, side=True, description="`canaries` of data.canaries"),
    },
    outputs={"report": Port("report", description="memorization.json")},
    claims=(
        Claim(
            "memorization.exposure", "mean exposure of canaries, log2 of their space less log2 of their rank; by "
            "repeats", "bits", better="lower", any_split=True,
        ),
        Claim(
            "memorization.canaries_extracted", "share of canaries whose secret greedy writing gives; by repeats",
            better="lower", sizing="rate", any_split=True,
        ),
        Claim(
            "memorization.extraction_rate", "share of training texts whose next tokens greedy writing gives",
            better="lower", sizing="rate", any_split=True,
        ),
        Claim(
            "memorization.held_out_rate", "share of held-out texts whose next tokens greedy writing gives",
            better="none", sizing="rate",
        ),
        Claim(
            "memorization.extraction_excess", "share extracted of training texts less that of held-out ones",
            better="lower",
        ),
    ),
    libraries=("numpy", "scipy", "pyarrow", "tokenizers", "torch", "transformers"),
    loads=MODEL_CODE,
)  # fmt: skip
