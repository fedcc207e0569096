"""`refresh`: when a source that nothing fingerprints is fetched again, and what the key is made of then."""

from __future__ import annotations

import pytest
from support.hostile_http import FakeTime

import modelyard
from modelyard.base import clock
from modelyard.core.stage import Stage
from modelyard.engine.refresh import limit_s, words
from modelyard.engine.stage_rules import stage_problems
from modelyard.errors import StageError

FETCH = '''"""Fetch a file of which nothing tells whether it changed."""
import json
from pydantic import BaseModel, ConfigDict, Field
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.settings import Refresh


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    refresh: Refresh = Field("never", description="When to fetch again.")
    name: str = Field("outside.txt", description="The file.")


def run(config: Config, context: Context) -> None:
    kept = context.scratch() / "kept.txt"
    if not kept.exists():
        kept.write_text((context.base / config.name).read_text())
        with (context.base / "fetches.txt").open("a") as stream:
            stream.write("fetched\\n")
    if (context.base / "broken").exists():
        raise RuntimeError("stopped on the way")
    folder = context.output("data")
    (folder / "all").mkdir()
    (folder / "all" / "rows.txt").write_text(kept.read_text())
    (folder / "dataset.json").write_text(json.dumps({"version": 1, "columns": []}))


STAGE = Stage(config=Config, run=run, outputs={"data": Port("dataset", ("all",))}, refresh="refresh")
'''
COPY = '''"""Count what was fetched."""
import json
from pydantic import BaseModel, ConfigDict
from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def run(config: Config, context: Context) -> None:
    text = (context.input("data") / "all" / "rows.txt").read_text()
    (context.output("report") / "count.json").write_text(json.dumps(len(text)))


STAGE = Stage(config=Config, run=run, inputs={"data": Port("dataset", ("all",))}, outputs={"report": Port("report")})
'''
PROJECT = """version: 1
project: fetching
steps:
  rows: {uses: ./fetch.py, with: {refresh: POLICY}}
  count: {uses: ./count.py}
"""


class Outside:
    """A project beside a file that changes, with a clock that the test moves."""

    def __init__(self, folder):
        self.folder = folder
        self.time = FakeTime()
        (folder / "fetch.py").write_text(FETCH)
        (folder / "count.py").write_text(COPY)
        self.says("one")

    def says(self, text):
        (self.folder / "outside.txt").write_text(text)

    def run(self, policy, **more):
        (self.folder / "modelyard.yaml").write_text(PROJECT.replace("POLICY", policy))
        return {step.step: step.cached for step in modelyard.run(self.folder, **more).steps}

    def plan(self):
        return {step.step: step for step in modelyard.plan(self.folder).steps}

    @property
    def num_fetches(self):
        path = self.folder / "fetches.txt"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def now(self):
        minutes, seconds = divmod(int(self.time.now), 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        return f"2024-01-{days + 1:02d}T{hours:02d}:{minutes:02d}:{seconds:02d}Z"


@pytest.fixture
def outside(tmp_path, monkeypatch):
    made = Outside(tmp_path)
    monkeypatch.setattr(clock, "now_utc", made.now)
    return made


def test_never_fetches_once(outside):
    outside.run("never")
    outside.says("two")
    outside.time.now = 20 * 86_400
    assert outside.run("never") == {"rows": True, "count": True}
    assert outside.num_fetches == 1


def test_always_fetches_at_each_run_and_equal_bytes_reuse_what_is_below(outside):
    assert outside.run("always") == {"rows": False, "count": False}
    assert outside.run("always") == {"rows": False, "count": True}
    outside.says("two!")
    assert outside.run("always") == {"rows": False, "count": False}
    assert outside.num_fetches == 3


def test_a_duration_reuses_what_is_younger(outside):
    outside.run("30min")
    outside.says("two")
    outside.time.now = 29 * 60
    assert outside.run("30min") == {"rows": True, "count": True}
    outside.time.now = 31 * 60
    assert outside.run("30min") == {"rows": False, "count": False}
    outside.time.now = 50 * 60
    assert outside.run("30min") == {"rows": True, "count": True}
    assert outside.num_fetches == 2


def test_a_fetch_recorded_in_the_future_has_no_age_and_is_fetched_again(outside):
    outside.time.now = 86_400
    outside.run("1h")
    outside.time.now = 0
    (reason,) = outside.plan()["rows"].reasons
    assert "future" in reason
    assert not outside.run("1h")["rows"]
    assert outside.run("1h")["rows"]  # the new fetch is the last one, and its age is known
    assert outside.num_fetches == 2


def test_a_fetch_recorded_in_the_future_is_kept_where_age_does_not_matter(outside):
    outside.time.now = 86_400
    outside.run("never")
    outside.time.now = 0
    assert "future" in outside.plan()["rows"].reasons[0]
    assert outside.run("never")["rows"]


def test_a_stopped_fetch_from_the_future_is_not_gone_on_with(outside):
    outside.time.now = 86_400
    (outside.folder / "broken").touch()
    with pytest.raises(StageError):
        outside.run("1h")
    (outside.folder / "broken").unlink()
    outside.time.now = 0
    outside.run("1h")
    assert outside.num_fetches == 2


def test_the_policy_itself_is_no_part_of_the_key(outside):
    outside.run("always")
    outside.run("always")
    assert outside.run("never")["rows"]
    assert outside.run("7d")["rows"]
    assert not outside.run("always")["rows"]
    assert outside.num_fetches == 3


def test_other_settings_are_another_fetch(outside):
    outside.run("never")
    (outside.folder / "other.txt").write_text("other")
    assert not outside.run("never", sets=["steps.rows.with.name=other.txt"])["rows"]
    assert outside.num_fetches == 2


def test_a_step_under_another_name_does_not_get_an_old_fetch_for_a_new_one(outside, tmp_path):
    outside.run("always")
    text = (tmp_path / "modelyard.yaml").read_text().replace("rows:", "lines:")
    outside.says("two")
    (tmp_path / "modelyard.yaml").write_text(text)
    assert [step.cached for step in modelyard.run(tmp_path).steps] == [False, False]


@pytest.mark.parametrize("policy", ["never", "always", "1h"])
def test_a_fetch_that_was_stopped_keeps_its_number_and_goes_on(outside, policy):
    outside.run("always")
    (outside.folder / "broken").touch()
    with pytest.raises(StageError, match="on the way"):
        outside.run("always")
    (outside.folder / "broken").unlink()
    outside.time.now = 2 * 3_600 if policy == "1h" else 60
    if policy == "always":
        assert outside.plan()["rows"].resumes
    before = outside.num_fetches
    outside.run(policy)
    assert outside.num_fetches - before == {"never": 0, "always": 0, "1h": 1}[policy]


def test_a_fetch_that_was_stopped_and_then_done_is_not_gone_on_with_again(outside):
    (outside.folder / "broken").touch()
    with pytest.raises(StageError):
        outside.run("always")
    (outside.folder / "broken").unlink()
    outside.run("always")
    assert outside.num_fetches == 1
    assert not outside.run("always")["rows"]
    assert outside.num_fetches == 2


def test_within_one_run_the_fetch_is_decided_once(outside):
    """Trials and folds prepare a step again and again: with `always` too they must meet the same rows."""
    from modelyard.app.session import open_session
    from modelyard.engine.bench import Bench
    from modelyard.engine.events import Silent
    from modelyard.engine.execute import execute
    from modelyard.engine.prepare import prepare

    outside.run("always")
    with open_session(outside.folder, (), None) as session:
        bench = Bench(session.bound, session.store, session.profile, Silent())
        done = execute(bench)
        run = session.store.ledger.runs(step="rows", limit=1)[0]
        assert prepare(bench, session.bound.steps[0], []).key == run.key
        assert dict(run.outputs and {"data": run.outputs[0].digest}) == dict(done[0].outputs)


def test_an_old_unfinished_fetch_is_not_gone_on_with(outside):
    (outside.folder / "broken").touch()
    with pytest.raises(StageError):
        outside.run("always")
    (outside.folder / "broken").unlink()
    outside.time.now = 2 * 86_400
    outside.run("always")
    assert outside.num_fetches == 2


def test_plan_says_the_age_and_what_happens(outside):
    outside.run("7d")
    outside.time.now = 3 * 86_400
    kept = outside.plan()["rows"]
    assert (kept.state, kept.reasons) == ("cached", ("fetched 3 d ago; `refresh: 7d` keeps it",))
    outside.time.now = 8 * 86_400
    old = outside.plan()["rows"]
    assert (old.state, old.reasons) == ("run", ("fetched 8 d ago; `refresh: 7d` fetches it again",))
    assert outside.plan()["count"].state == "later"


def test_looking_at_what_was_done_counts_the_last_fetch_whatever_its_age(outside):
    from modelyard.app.session import open_session
    from modelyard.engine.bench import Bench
    from modelyard.engine.events import Silent
    from modelyard.engine.plan import finished

    outside.run("always")
    outside.run("always")
    with open_session(outside.folder, (), None) as session:
        done, missing = finished(Bench(session.bound, session.store, session.profile, Silent()))
    assert ([outcome.step for outcome in done], missing) == (["rows", "count"], ())


@pytest.mark.parametrize("policy", ["never", "always", "7d"])
def test_a_step_can_be_run_again_by_name(outside, policy):
    outside.run(policy)
    outside.says("two!")
    assert outside.run(policy, again=["rows"]) == {"rows": False, "count": False}
    assert outside.num_fetches == 2
    assert outside.run("never") == {"rows": True, "count": True}


def test_durations_in_seconds_and_ages_in_words():
    assert [limit_s(text) for text in ("never", "always", "45s", "30min", "2h", "7d")] == [
        None, 0, 45, 1_800, 7_200, 604_800,
    ]  # fmt: skip
    assert [words(seconds) for seconds in (0, 119, 120, 7_199, 7_200, 172_799, 172_800)] == [
        "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d",
    ]  # fmt: skip


def test_a_stage_that_names_no_setting_is_refused():
    from modelyard.stages.data.clean import STAGE

    wrong = Stage(config=STAGE.config, run=STAGE.run, refresh="freshness")
    assert any("freshness" in problem.found for problem in stage_problems("mine", wrong, "x"))
