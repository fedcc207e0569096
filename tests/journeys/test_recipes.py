"""The recipes do what their pages say, through the real command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "examples" / "recipes"
PROJECTS = sorted(
    path.relative_to(RECIPES).as_posix() for path in RECIPES.rglob("*.yaml") if path.parent.name != "tasks"
)


def modelyard(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MODELYARD_LANG": "en", "MODELYARD_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "modelyard", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("name", PROJECTS)
def test_every_recipe_is_a_project_without_problems(name: str) -> None:
    project = RECIPES / name
    done = modelyard(project.parent, "check", project.name)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_rare_class_is_balanced_right_and_the_wrong_order_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "recipes" / "imbalance"
    shutil.copytree(RECIPES / "imbalance", folder, ignore=shutil.ignore_patterns(".modelyard", "__pycache__"))
    shutil.copytree(
        ROOT / "examples" / "reviews-zh", tmp_path / "reviews-zh", ignore=shutil.ignore_patterns(".modelyard")
    )
    right = modelyard(folder, "run", "--json")
    assert right.returncode == 0, right.stderr
    assert json.loads(right.stdout)["release"]["state"] == "released"
    wrong = modelyard(folder, "run", "wrong.yaml")
    assert wrong.returncode != 0
    assert "data.duplicate_rate of split <= 0.01: 0.45" in wrong.stderr
    early = (folder / "modelyard.yaml").read_text(encoding="utf-8")
    early = early.replace("{uses: ./rare.py, with: {label: neg, share: 0.1}}", "{uses: data.balance}")
    (folder / "early.yaml").write_text(early, encoding="utf-8")
    refused = modelyard(folder, "check", "early.yaml")
    assert refused.returncode != 0
    assert "add a `data.split` step between `clean` and `rare`" in refused.stderr


@pytest.mark.slow
def test_shap_says_that_hours_and_sector_set_women_apart_though_the_model_is_not_shown_the_sex(tmp_path: Path) -> None:
    folder = tmp_path / "shap"
    shutil.copytree(RECIPES / "shap", folder, ignore=shutil.ignore_patterns(".modelyard", "__pycache__"))
    done = modelyard(folder, "run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["release"]["state"] == "released"
    report = next(folder.glob(".modelyard/artifacts/*/*/explanation.json"))
    blocks = json.loads(report.read_text(encoding="utf-8"))["blocks"]
    apart = next(one for one in blocks if one["kind"] == "bars" and "sets" in str(one["title"]))["bars"]
    assert {one["name"] for one in apart[:2]} == {"hours", "sector"}
    assert all(one["low"] > 0 for one in apart[:2])
    names = [one["kind"] for one in blocks]
    assert "swarm" in names
    assert names.count("forces") == 12
    swarm = next(one for one in blocks if one["kind"] == "swarm")
    assert "sex" not in {one["name"] for one in swarm["lines"]}


@pytest.mark.slow
def test_a_chinese_bert_without_a_network_says_that_it_begins_at_random_and_answers(tmp_path: Path) -> None:
    folder = tmp_path / "recipes" / "chinese-bert"
    shutil.copytree(RECIPES / "chinese-bert", folder, ignore=shutil.ignore_patterns(".modelyard", "__pycache__"))
    rows = (ROOT / "examples" / "reviews-zh" / "reviews.csv").read_text(encoding="utf-8").splitlines()[:400]
    (tmp_path / "reviews-zh").mkdir()
    (tmp_path / "reviews-zh" / "reviews.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    text = (folder / "modelyard.yaml").read_text(encoding="utf-8").replace("epochs: 4", "epochs: 1")
    text = text.replace("./encoder.py}", "./encoder.py, with: {base: ./not-here, layers: 1, width: 64}}")
    (folder / "modelyard.yaml").write_text(text, encoding="utf-8")
    done = modelyard(folder, "run")
    assert done.returncode == 0, done.stderr
    assert "RANDOM weights" in done.stdout + done.stderr
    asked = modelyard(folder, "predict", "chinese-bert", "我喜欢Python编程语言。")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.strip()


@pytest.mark.slow
def test_areas_come_from_scores_and_labels_in_their_place_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "recipes" / "metrics"
    shutil.copytree(RECIPES / "metrics", folder, ignore=shutil.ignore_patterns(".modelyard", "__pycache__"))
    shutil.copytree(ROOT / "examples" / "spam-en", tmp_path / "spam-en", ignore=shutil.ignore_patterns(".modelyard"))
    right = modelyard(folder, "run", "--json")
    assert right.returncode == 0, right.stderr
    assert json.loads(right.stdout)["release"]["state"] == "released"
    wrong = modelyard(folder, "run", "wrong.yaml")
    assert wrong.returncode != 0
    assert "not measured: roc_auc (two distinct scores that only repeat the answer: hard labels" in wrong.stderr
    assert "quality.roc_auc >= 0.98: no evidence about rounded" in wrong.stderr


@pytest.mark.slow
def test_harness_tasks_in_two_languages_are_asked_and_gated(tmp_path: Path) -> None:
    folder = tmp_path / "recipes" / "harness"
    shutil.copytree(RECIPES / "harness", folder, ignore=shutil.ignore_patterns(".modelyard"))
    rows = (ROOT / "examples" / "reviews-zh" / "reviews.csv").read_text(encoding="utf-8").splitlines()[:300]
    (tmp_path / "reviews-zh").mkdir()
    (tmp_path / "reviews-zh" / "reviews.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    text = (folder / "modelyard.yaml").read_text(encoding="utf-8").replace("max_steps: 40", "max_steps: 3")
    (folder / "modelyard.yaml").write_text(text.replace("min: 0.1", "min: 0.99"), encoding="utf-8")
    done = modelyard(folder, "run")
    assert done.returncode != 0
    assert "harness.acc [task=everyday_zh] >= 0.99" in done.stdout + done.stderr
    assert "everyday_en: acc_norm" in done.stdout + done.stderr
    task = folder / "tasks" / "everyday_en.yaml"
    task.write_text(task.read_text(encoding="utf-8") + "doc_to_target: !function ours.target\n", encoding="utf-8")
    refused = modelyard(folder, "run")
    assert refused.returncode != 0
    assert "brings code" in refused.stderr
