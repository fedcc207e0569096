"""No model is tested on rows it may have learned from."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.engine.bind import load_project_dict


def problems(tmp_path: Path, **changes: dict | None) -> list[str]:
    """Problems of the usual project with steps changed, or added above the classifier."""
    (tmp_path / "mail.csv").write_text("text,label\na,b\n")
    (tmp_path / "other.csv").write_text("text,label\na,b\n")
    steps = {
        "mail": {"uses": "data.read", "with": {"path": "mail.csv", "text": "text", "label": "label"}},
        "clean": {"uses": "data.clean"},
        "split": {"uses": "data.split"},
        **{name: step for name, step in changes.items() if name not in ("classifier", "int8", "quality", "latency")},
        "classifier": {"uses": "train.text_classification", "in": {"data": "split"}},
        "int8": {"uses": "compress.quantize", "in": {"data": "split"}},
        "quality": {"uses": "evaluate.quality", "in": {"data": "split"}},
    }
    for name in ("classifier", "int8", "quality", "latency"):
        if name in changes:
            steps[name] = changes[name]
    value = {"version": 1, "project": "p", "steps": steps}
    return [problem.found for problem in load_project_dict(value, tmp_path)[1]]


SECOND = {"uses": "data.split", "in": {"data": "clean"}, "with": {"test": 0.5}}


def test_one_cut_for_training_and_testing_is_right(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


def test_a_second_cut_of_the_same_data_is_refused_for_testing(tmp_path: Path) -> None:
    found = problems(tmp_path, second=SECOND, quality={"uses": "evaluate.quality", "in": {"data": "second"}})
    assert len(found) == 1
    assert "`second` may be among those `int8` learned from in `split`" in found[0]


def test_data_that_only_compression_saw_counts_as_learned_from(tmp_path: Path) -> None:
    assert problems(tmp_path, second=SECOND, int8={"uses": "compress.quantize", "in": {"data": "second"}})


def test_a_nearest_binding_to_a_second_cut_is_noticed_too(tmp_path: Path) -> None:
    assert problems(tmp_path, second=SECOND, quality={"uses": "evaluate.quality"})


@pytest.mark.parametrize(("path", "refused"), [("other.csv", False), ("mail.csv", True)])
def test_data_of_another_source_may_be_tested_on_the_same_file_may_not(
    tmp_path: Path, path: str, refused: bool
) -> None:
    found = problems(
        tmp_path,
        again={"uses": "data.read", "with": {"path": path, "text": "text", "label": "label"}},
        second={"uses": "data.split", "in": {"data": "again"}},
        quality={"uses": "evaluate.quality", "in": {"data": "second"}},
    )
    assert bool(found) is refused
