"""Rows that keep to fixed rules, in one pass and constant memory; every row removed kept with the rule it failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from modelyard.methods.data.account import Account
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Dataset, SplitWriter, write_schema
from modelyard.methods.data.language import UNDECIDED, Detector
from modelyard.methods.data.quality_filters import failed
from modelyard.methods.data.roles import schema_of

LANGUAGE = "language"


@dataclass(frozen=True)
class Filter:
    """Which texts stay.

    Attributes:
        languages: codes that stay, or none to let all; undecided texts stay with `keep_undecided`.
        limits: rule to limit (`quality_filters.RULES`).
    """

    limits: Mapping[str, float]
    languages: tuple[str, ...] = ()
    detector: Detector = field(default_factory=Detector)
    keep_undecided: bool = True

    def __call__(self, text: str, code: str) -> tuple[str, str] | None:
        """Reason and detail if a text of that language goes, None if it stays."""
        if self.languages and code == UNDECIDED and not self.keep_undecided:
            return LANGUAGE, "no language can be told"
        if self.languages and code not in (*self.languages, UNDECIDED):
            return LANGUAGE, f"it is in `{code}`"
        return failed(text, self.limits, self.detector)


@dataclass
class Outcome:
    """What filtering came to: the account of rows, and rows in by language (none if languages do not matter)."""

    account: Account
    languages: Counter[str] = field(default_factory=Counter)


def filter_rows(
    data: Dataset, rules: Filter, kept: Path, removed: Path, progress: Callable[[int, int], None]
) -> Outcome:
    """Write the rows of the split `all` that stay to `kept`, the others to `removed`.

    Raises:
        InputError: the data has no column with the role `text`.
    """
    column = data.need("text")
    total = data.num_rows("all")
    languages: Counter[str] = Counter()
    write_schema(kept, data.columns)
    with SplitWriter(kept, "all", schema_of(data.columns)) as good, ChangeLog(removed) as log:
        for batch in data.batches("all"):
            texts = [text or "" for text in batch.column(column).to_pylist()]
            codes = [rules.detector(text) for text in texts] if rules.languages else [UNDECIDED] * len(texts)
            languages.update(codes if rules.languages else ())
            verdicts = [rules(text, code) for text, code in zip(texts, codes, strict=True)]
            stays = np.array([verdict is None for verdict in verdicts], dtype=np.bool_)
            gone = np.flatnonzero(~stays)
            for place, row in zip(gone.tolist(), batch.take(pa.array(gone)).to_pylist(), strict=True):
                reason, detail = verdicts[place] or ("", "")
                log.removed(str(row[ROW_ID]), reason, detail, row)
            good.write(batch.filter(pa.array(stays)))
            log.account.num_in += len(texts)
            log.kept(int(stays.sum()))
            progress(log.account.num_in, total)
    return Outcome(log.account, languages)
