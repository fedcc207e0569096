"""Labelled texts of a split in memory: what a linear model learns from, and pseudo labels are chosen by."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.methods.data.dataset import ROW_ID, Dataset


@dataclass(frozen=True)
class LabelledRows:
    """Rows with a text and a label, in the split's order.

    Attributes:
        row_ids, texts, labels: vectors of one length.
        left_out: row ids without a text or without a label; they cannot be judged, and are counted.
    """

    row_ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @classmethod
    def read(cls, data: Dataset, split: str) -> LabelledRows:
        """All rows of a split. Raises InputError if no column has the role `text` or `label`."""
        names = [ROW_ID, data.need("text"), data.need("label")]
        table = data.table(split, names)
        kept: list[tuple[str, str, str]] = []
        left_out = []
        for row_id, text, label in zip(*(table.column(name).to_pylist() for name in names), strict=True):
            if text is None or label is None:
                left_out.append(str(row_id))
            else:
                kept.append((str(row_id), str(text), str(label)))
        ids, texts, labels = zip(*kept, strict=True) if kept else ((), (), ())
        return cls(ids, texts, labels, tuple(left_out))

    def __len__(self) -> int:
        return len(self.row_ids)
