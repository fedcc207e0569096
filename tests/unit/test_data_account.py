"""No row is lost: what came is what went out and what was removed, each with its reason, and can be brought back."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from support.fake_context import FakeContext

from modelyard.core.project import SecretName
from modelyard.methods.data.account import Account
from modelyard.methods.data.changes import ChangeLog, row_json, row_values
from modelyard.methods.data.dataset import Column, Dataset
from modelyard.methods.data.settings import ColumnRoles, roles_of, seconds_of, text_of


def test_changes_are_written_with_their_reasons_and_counted(tmp_path: Path) -> None:
    with ChangeLog(tmp_path) as log:
        log.account.num_in = 3
        log.removed("a", "empty", "empty text", {"row_id": "a", "text": "", "n": 3})
        log.changed("b", "repaired", "text", "schÃ¶n", "schön")
        log.added("b#1", "oversampled", "a copy of b")
        log.kept(3, num_changed=1)
    log.account.check()
    written = Dataset.open(tmp_path).table("all").to_pylist()
    assert [(row["row_id"], row["action"], row["reason"]) for row in written] == [
        ("a", "removed", "empty"), ("b", "changed", "repaired"), ("b#1", "added", "oversampled"),
    ]  # fmt: skip
    assert (written[1]["column"], written[1]["before"], written[1]["after"]) == ("text", "schÃ¶n", "schön")
    assert "3 rows in = 2 kept + 1 removed (empty 1); 1 of the kept were changed (repaired 1)" in log.account.line()


def test_a_removed_row_comes_back_with_the_types_it_had() -> None:
    columns = [Column("image", "image", "binary"), Column("at", "time", "timestamp[us]"), Column("n", "other", "int64")]
    row = {"image": b"\x89PNG", "at": datetime.datetime(2024, 2, 3, 4, 5), "n": 7}  # noqa: DTZ001 (UTC without zone)
    assert row_values(row_json(row), columns) == row
    assert row_values("{}", columns) == {"image": None, "at": None, "n": None}


def test_a_lost_row_does_not_go_unnoticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="3 rows came, 2 are accounted for"):
        Account(num_in=3, num_kept=2).tell(FakeContext(tmp_path))


def test_the_account_is_measured(tmp_path: Path) -> None:
    context = FakeContext(tmp_path)
    account = Account(num_in=4, num_kept=3, num_changed=1)
    account.removed["empty"] = 1
    account.tell(context)
    assert [context.value(f"data.{name}") for name in ("rows", "removed_rate", "changed_rate")] == [3, 0.25, 0.25]


def test_roles_durations_and_secrets_are_read_from_settings() -> None:
    assert roles_of(ColumnRoles(text="review", label="class")) == {"text": "review", "label": "class"}
    assert [seconds_of(text) for text in ("30s", "5min", "2h", "7d")] == [30, 300, 7_200, 604_800]
    assert text_of(SecretName("URL"), {"URL": "sqlite://"}.__getitem__) == "sqlite://"
    assert text_of("plain", {}.__getitem__) == "plain"
