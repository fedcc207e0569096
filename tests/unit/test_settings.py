"""Settings against a Config: every mistake, at its line, with what was found, what is expected and a nearest name."""

from __future__ import annotations

import pytest
from support.fake_stages import source, write_project

from modelyard.core.project import SecretName
from modelyard.engine.bind import load_project

FIELDS = """\
    path: str = Field("x", description="the file", min_length=1, max_length=5, pattern="^[a-z]+$")
    epochs: Annotated[int, Field(ge=1, le=100)] | Literal["auto"] = Field(2, description="passes over the data")
    share: float = Field(0.5, gt=0, lt=1)
    shuffle: bool = True
    kind: Literal["cnn", "linear"] = "cnn"
    block: Block = Block()
    blocks: list[Block] = []
    layers: tuple[int, ...] = Field((1,), max_length=3)
    names: dict[str, int] = {}
    token: SecretName | None = None
    step: int = Field(2, multiple_of=2)
"""
PROJECT = "version: 1\nproject: p\nsteps:\n  s:\n    uses: ./s.py\n    with:\n      {}\n"


@pytest.fixture
def read(tmp_path):
    def _read(settings, fields=FIELDS):
        path = write_project(tmp_path, PROJECT.format(settings.replace("\n", "\n      ")))
        (tmp_path / "s.py").write_text(source(fields=fields), encoding="utf-8")
        bound, problems = load_project(path)
        return bound.steps[0].config if bound else None, problems

    return _read


def test_values_of_yaml_are_taken_as_they_are(read):
    config, problems = read(
        "epochs: auto\nshare: 1e-4\nblock: {name: sgd}\nblocks: [{rate: 1}]\nlayers: [1, 2]\n"
        "names: {a: 1}\ntoken: {secret: T}\nshuffle: false"
    )
    assert problems == []
    assert (config.epochs, config.share, config.block.name, config.layers) == ("auto", 1e-4, "sgd", (1, 2))
    assert config.token == SecretName("T")
    assert config.model_dump(mode="json")["token"] == {"secret": "T"}


@pytest.mark.parametrize(
    ("setting", "found", "expected", "remedy"),
    [
        ("epoch: 2", "unknown setting `epoch`", "", "did you mean `epochs`?"),
        ("epochs: 0", "`epochs` is 0", "at least 1", ""),
        ("epochs: 101", "`epochs` is 101", "at most 100", ""),
        ("epochs: 1.5", "`epochs` is 1.5", "a whole number or `auto` (passes over the data)", ""),
        ('epochs: "2"', '`epochs` is the text "2"', "a whole number or `auto`", ""),
        ("epochs: fast", '`epochs` is the text "fast"', "a whole number or `auto`", ""),
        ("epochs:", "`epochs` is nothing", "a whole number", ""),
        ("share: 0", "`share` is 0", "more than 0", ""),
        ("share: 1", "`share` is 1", "less than 1", ""),
        ("share: half", '`share` is the text "half"', "a number", ""),
        ("shuffle: on", '`shuffle` is the text "on"', "true or false", ""),
        ("shuffle: 1", "`shuffle` is 1", "true or false", ""),
        ("kind: cn", '`kind` is "cn"', "one of: cnn, linear", "did you mean `cnn`?"),
        ("path: 3", "`path` is 3", "text (the file)", ""),
        ('path: ""', '`path` is ""', "at least 1 characters", ""),
        ("path: abcdef", '`path` is "abcdef"', "at most 5 characters", ""),
        ("path: A", '`path` is "A"', "text of the form ^[a-z]+$", ""),
        ("path: {secret: X}", "`path` is the secret `X`, which this setting does not take", "text", ""),
        ("block: {nam: sgd}", "unknown setting `block.nam`", "", "did you mean `name`?"),
        ("block: {rate: 2}", "`block.rate` is 2", "at most 1.0 (learning rate)", ""),
        ("block: 3", "`block` is 3", "a mapping", ""),
        ("blocks: [{}, {rat: 1}]", "unknown setting `blocks.1.rat`", "", "did you mean `rate`?"),
        ("layers: [1, two]", '`layers.1` is the text "two"', "a whole number", ""),
        ("layers: [1, 2, 3, 4]", "`layers` is [1, 2, 3, 4]", "at most 3 items", ""),
        ("layers: 3", "`layers` is 3", "a list", ""),
        ("names: {a: x}", '`names.a` is the text "x"', "a whole number", ""),
        ("token: abc", '`token` is the text "abc"', "a mapping", ""),
        ("step: 3", "`step` is 3", "a multiple of 2", ""),
    ],
)
def test_a_wrong_setting_is_told_at_its_line(read, setting, found, expected, remedy):
    config, problems = read(f"shuffle: true\n{setting}" if not setting.startswith("shuffle") else f"step: 2\n{setting}")
    assert config is None
    (problem,) = problems
    assert problem.where.endswith("modelyard.yaml:8")
    assert found in problem.found
    assert expected in problem.expected
    assert remedy in problem.remedy


def test_all_wrong_settings_are_told_each_at_its_own_line(read):
    _, problems = read("epochs: 0\nblock:\n  rate: 3\n  nam: x\nlayers:\n  - 1\n  - x\npth: 1")
    assert [problem.where.rpartition(":")[2] for problem in problems] == ["7", "9", "10", "13", "14"]


def test_a_missing_setting_is_told_with_what_it_is(read):
    _, (problem,) = read("{}", "    path: str = Field(description='the file to read')\n    n: int = 1")
    assert problem.found == "the setting `path` is missing"
    assert problem.expected == "the file to read"


def test_settings_that_do_not_go_together_say_the_stages_own_words(read):
    fields = """\
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _ordered(self):
        if self.low > self.high:
            raise ValueError("`low` is above `high`")
        return self
"""
    _, (problem,) = read("low: 3", fields)
    assert problem.found == "the settings do not go together"
    assert problem.expected == "`low` is above `high`"
    assert problem.where.endswith(":6")


def test_a_config_that_fails_by_itself_is_a_problem_and_not_a_crash(read):
    _, (problem,) = read("n: auto", "    n: int | Literal['auto'] = Field(2, ge=1)")
    assert "TypeError" in problem.found
