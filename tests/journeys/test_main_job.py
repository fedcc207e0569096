"""The main job through the real command line, on real e-mails: data in, a gated, signed release out, and back again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from support.mail_project import PROJECT, modelyard, outputs, write_project


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = write_project(tmp_path_factory.mktemp("main") / "mail")
    result = json.loads(modelyard("run", "--json", cwd=folder).stdout)
    return folder, result


def test_the_run_ends_in_a_release_whose_rules_all_passed(done):
    _, result = done
    assert result["decision"]["passed"]
    assert [finding["passed"] for finding in result["decision"]["findings"]] == [True, True, True]
    assert result["release"]["state"] == "released"


def test_what_was_gated_is_the_very_model_that_ships(done):
    folder, result = done
    gated = result["decision"]["findings"][0]["evidence"][0]["subject"]
    shown = json.loads(modelyard("release", "show", "mail", "--json", cwd=folder).stdout)
    assert gated == outputs(result)["int8"]["model"] == shown["about"]["model"]


def test_a_cached_rerun_makes_nothing(done):
    folder, result = done
    again = json.loads(modelyard("run", "--json", cwd=folder).stdout)
    assert all(step["cached"] for step in again["steps"])
    assert again["release"] == result["release"]


def test_one_changed_setting_runs_only_its_dependents(done):
    folder, _ = done
    plan = json.loads(modelyard("plan", "--set", "steps.int8.with.calibration_rows=80", "--json", cwd=folder).stdout)
    assert {step["step"]: step["state"] for step in plan["steps"]} == {
        "mail": "cached",
        "clean": "cached",
        "split": "cached",
        "classifier": "cached",
        "int8": "run",
        "quality": "later",
        "latency": "later",
        "card": "later",
    }


def test_the_plan_says_what_each_rule_needs(done):
    folder, _ = done
    text = modelyard("plan", cwd=folder).stdout
    assert "quality.accuracy >= 0.85" in text
    assert re.search(r"quality\.accuracy.*0\.8[5-9]|quality\.accuracy.*0\.9", text)


def test_the_release_answers(done):
    folder, _ = done
    texts = ["Re: patch for the kernel, see the mailing list", "FREE MONEY!!! click here to claim $$$ now"]
    found = json.loads(modelyard("predict", "mail", *texts, "--json", cwd=folder).stdout)["predictions"]
    assert [answer["label"] for answer in found] == ["ham", "spam"]
    assert all(abs(sum(answer["scores"].values()) - 1) < 1e-6 for answer in found)


def test_a_bundle_is_verified_in_another_folder_and_every_change_to_it_is_found(done, tmp_path):
    folder, _result = done
    shown = json.loads(modelyard("release", "show", "mail", "--json", cwd=folder).stdout)
    copy = tmp_path / "bundle"
    shutil.copytree(shown["path"], copy)
    key = folder / ".modelyard" / "keys" / "signing.pub"
    modelyard("release", "verify", str(copy), "--key", str(key), cwd=tmp_path)
    for path in sorted(copy.rglob("*")):
        if path.is_dir():
            continue
        before = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        refused = modelyard("release", "verify", str(copy), "--key", str(key), cwd=tmp_path, check=False)
        assert refused.returncode == 5, path
        path.write_bytes(before)
        if path.name not in ("model.sig", "release.json", "model.json"):
            break  # one payload file through a whole process is enough; the store's tests change every one
    (copy / "added.txt").write_text("x")
    assert modelyard("release", "verify", str(copy), "--key", str(key), cwd=tmp_path, check=False).returncode == 5


def test_a_tampered_model_is_refused_by_predict_and_made_again_by_run(done, tmp_path):
    folder, _result = done
    copy = tmp_path / "mail"
    shutil.copytree(folder, copy, symlinks=True)
    digest = json.loads(modelyard("release", "show", "mail", "--json", cwd=copy).stdout)["path"]
    weights = max((path for path in (Path(digest) / "model").iterdir()), key=lambda path: path.stat().st_size)
    weights.chmod(0o644)
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 0xFF
    weights.write_bytes(content)
    refused = modelyard("predict", "mail", "hello", cwd=copy, check=False)
    assert refused.returncode == 5
    assert weights.name in refused.stderr
    assert modelyard("verify", cwd=copy, check=False).returncode == 5


def test_a_missed_rule_blocks_with_its_exit_code_and_reason(done):
    folder, _ = done
    strict = PROJECT.replace("min: 0.85", "min: 0.9999").replace("SIZE", "linear")
    (folder / "strict.yaml").write_text(strict)
    refused = modelyard("run", "strict.yaml", cwd=folder, check=False)
    assert refused.returncode == 7
    assert "quality.accuracy >= 0.9999" in refused.stderr
    assert "bad end" in refused.stderr


def test_lineage_names_the_data_in_the_model_and_the_models_of_the_data(done):
    folder, result = done
    up = json.loads(modelyard("show", "lineage", "int8", "--json", cwd=folder).stdout)
    assert outputs(result)["mail"]["data"] in {link["parent"] for link in up["made_from"]}
    down = json.loads(modelyard("show", "lineage", "mail", "--json", cwd=folder).stdout)
    assert outputs(result)["int8"]["model"] in {link["child"] for link in down["made_into"]}
    assert "mail@1" in down["releases"]


def test_every_gated_figure_is_on_the_card_of_the_bundle(done):
    folder, result = done
    shown = json.loads(modelyard("release", "show", "mail", "--json", cwd=folder).stdout)
    page = (Path(shown["path"]) / "card.html").read_text(encoding="utf-8")
    for finding in result["decision"]["findings"]:
        assert finding["rule"]["claim"] in page
    assert not re.search(r'(?:src|href)="https?://', page)


def test_promotion_moves_the_alias_and_rollback_moves_it_back(done):
    folder, _ = done
    modelyard("run", "--set", "seed=1", "--release", cwd=folder)
    modelyard("release", "promote", "mail@1", cwd=folder)
    modelyard("release", "promote", "mail@2", cwd=folder)
    stale = modelyard("release", "promote", "mail@1", "--if-revision", "1", cwd=folder, check=False)
    assert stale.returncode == 5
    moved = json.loads(modelyard("release", "rollback", "mail", "--json", cwd=folder).stdout)
    assert (moved["version"], moved["previous"], moved["revision"]) == (1, None, 3)


def test_chinese_users_read_chinese(done):
    folder, _ = done
    assert "步骤" in modelyard("plan", cwd=folder, lang="zh").stdout
    assert "没有名为" in modelyard("run", "--until", "x", cwd=folder, lang="zh", check=False).stderr
