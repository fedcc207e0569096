"""Explanations against independent references: enumeration, shap, captum, scikit-learn, closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from modelyard.methods import runtimes
from modelyard.methods.evaluation.explanation import (
    budgets,
    dependence,
    gradcam,
    gradients,
    nearest,
    owen,
    rollout,
    shapley,
)
from modelyard.methods.evaluation.explanation.budgets import needed
from modelyard.methods.evaluation.explanation.faithfulness import areas, curves_of, random_areas, rank_correlation
from modelyard.methods.evaluation.explanation.game import Attribution, Bools, Game, Oracle
from modelyard.methods.evaluation.explanation.lime import lime
from modelyard.methods.evaluation.explanation.occlusion import occlusion
from modelyard.methods.evaluation.explanation.permutation import absolute_error, permutation
from modelyard.methods.evaluation.explanation.players import ImagePlayers, TablePlayers, TextPlayers, png
from modelyard.methods.evaluation.explanation.trees import Trees
from modelyard.methods.runtimes.differentiable import open_differentiable
from tests.support import small_models


class Answer:
    def __init__(self, value: float) -> None:
        self.value = value


class Function:
    """A predictor that answers a number by a function of the record."""

    labels: tuple[str, ...] = ()

    def __init__(self, function: Any) -> None:
        self.function, self.calls, self.rows = function, 0, 0

    def predict(self, records: Sequence[Any]) -> list[Answer]:
        self.calls, self.rows = self.calls + 1, self.rows + len(records)
        return [Answer(float(self.function(record))) for record in records]


def table_game(n: int, seed: int, background: int = 3) -> tuple[Game, Any, np.ndarray, np.ndarray]:
    """A crooked function of n numbers, a row, some background rows."""
    generator = np.random.default_rng(seed)
    weights, pairs = generator.normal(size=n), generator.normal(size=(n, n))

    def function(values: np.ndarray) -> np.ndarray:
        return values @ weights + np.einsum("...i,ij,...j->...", values, pairs, values) + np.sin(values[..., 0] * 3)

    names = tuple(f"x{place}" for place in range(n))
    row, others = generator.normal(size=n), generator.normal(size=(background, n))
    predictor: Any = Function(lambda record: function(np.array([record[name] for name in names])))
    rows = [dict(zip(names, one.tolist(), strict=True)) for one in (row, *others)]
    return Game(TablePlayers(rows[0], names, tuple(rows[1:])), Oracle(predictor), 0), function, row, others


def test_exact_shapley_values_are_the_mean_over_all_orders() -> None:
    game, function, row, others = table_game(4, 1)
    expected = np.zeros(4)
    for order in permutations(range(4)):
        mixed = others.copy()
        before = function(mixed).mean()
        for player in order:
            mixed[:, player] = row[player]
            expected[player] += function(mixed).mean() - before
            before = function(mixed).mean()
    assert np.allclose(shapley.exact(game).values, expected / factorial(4), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_kernel_shap_with_all_coalitions_is_exact(n: int) -> None:
    game, *_ = table_game(n, n)
    found = shapley.kernel(game, 10**6, np.random.default_rng(0))
    assert np.allclose(found.values, shapley.exact(game).values, rtol=0, atol=1e-9)


def test_kernel_shap_on_a_budget_adds_up_and_comes_near() -> None:
    game, *_ = table_game(12, 3)
    expected = shapley.exact(game).values
    found = shapley.kernel(game, 900, np.random.default_rng(0))
    assert found.values.sum() == pytest.approx(game.whole - game.nothing)
    assert np.abs(found.values - expected).max() < 0.1 * np.ptp(expected)


@pytest.mark.proof
def test_shapley_values_are_those_of_the_shap_package() -> None:
    import shap

    game, function, row, others = table_game(6, 5)
    theirs = shap.explainers.Exact(function, shap.maskers.Independent(others, max_samples=len(others)))(row[None])
    assert np.allclose(shapley.exact(game).values, theirs.values[0], rtol=0, atol=1e-9)
    kernel = shap.KernelExplainer(function, others).shap_values(row[None], silent=True)[0]
    assert np.allclose(shapley.kernel(game, 10**6, np.random.default_rng(0)).values, kernel, rtol=0, atol=1e-8)


def halves(n: int) -> np.ndarray:
    """The tree of `owen` as scipy writes trees."""
    rows: list[list[float]] = []

    def build(low: int, high: int) -> tuple[int, int]:
        if high - low == 1:
            return low, 1
        middle = owen.half(low, high)
        (left, of_left), (right, of_right) = build(low, middle), build(middle, high)
        rows.append([left, right, high - low, of_left + of_right])
        return n + len(rows) - 1, of_left + of_right

    build(0, n)
    return np.array(rows, np.float64)


@pytest.mark.proof
def test_owen_values_of_a_text_are_those_of_the_shap_package() -> None:
    import shap

    predictor = runtimes.load(small_models.ours("cnn"))
    players = TextPlayers.of("the room was very clean 很好 and the hotel slow 差", 64)
    game = Game(players, Oracle(predictor), 1)
    pieces = players.names

    class Masker(shap.maskers.Masker):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self.clustering = halves(len(pieces))

        def shape(self, _: Any) -> tuple[int, int]:
            return 1, len(pieces)

        def feature_names(self, _: Any) -> list[list[str]]:
            return [list(pieces)]

        def mask_shapes(self, _: Any) -> list[tuple[int]]:
            return [(len(pieces),)]

        def __call__(self, mask: Any, _: Any) -> Any:
            return (np.array(["".join(piece for piece, kept in zip(pieces, mask, strict=True) if kept)], object),)

    def answer(texts: Any) -> np.ndarray:
        return np.array([one.scores["good"] for one in predictor.predict([{"text": text} for text in texts])])

    theirs = shap.explainers.Partition(answer, Masker())(np.array([players.text], object), max_evals=10**6, silent=True)
    found = owen.owen(game, 10**6, np.random.default_rng(0))
    assert np.allclose(found.values, theirs.values[0], rtol=0, atol=1e-6)
    assert found.values.sum() == pytest.approx(game.whole - game.nothing)


def test_owen_values_on_a_budget_still_add_up() -> None:
    game, *_ = table_game(16, 2)
    found = owen.owen(game, 12, np.random.default_rng(0))
    assert found.values.sum() == pytest.approx(game.whole - game.nothing)
    assert len(set(found.values.round(12).tolist())) < 16


@pytest.mark.parametrize("method", ["owen", "kernel", "lime"])
def test_standard_errors_are_those_of_other_draws(method: str) -> None:
    """The error said by one draw is, in the mean, the spread over many draws."""
    game = _triples(14)
    draws = {
        "owen": lambda generator: owen.owen(game, 100, generator),
        "kernel": lambda generator: shapley.kernel(game, 300, generator),
        "lime": lambda generator: lime(game, 200, generator),
    }
    found = [draws[method](np.random.default_rng(seed)) for seed in range(60)]
    spread = np.sqrt(np.stack([one.values for one in found]).var(0, ddof=1).mean())
    said = np.sqrt(np.mean([np.mean(one.errors**2) for one in found if one.errors is not None]))
    assert 0.75 < said / spread < 1.35
    assert 0 < found[0].sampling_error < 1


def _triples(size: int) -> Game:
    """Gains of three players at a time: pairs alone would make paired draws of coalitions exact."""
    generator = np.random.default_rng(0)
    members = [generator.choice(size, 3, replace=False) for _ in range(3 * size)]
    gains = generator.normal(size=len(members))
    predictor: Any = Function(
        lambda record: sum(
            gain for gain, some in zip(gains, members, strict=True) if all(record["mask"][p] for p in some)
        )
    )
    return Game(Additive(np.zeros(size)), Oracle(predictor), 0)


def test_owen_values_from_drawn_contexts_are_right_in_the_mean() -> None:
    game, *_ = table_game(16, 4, background=1)
    expected = owen.owen(game, 10**6, np.random.default_rng(0))
    assert expected.questions == owen.questions(16)
    assert expected.sampling_error == 0
    drawn = [owen.owen(game, 80, np.random.default_rng(seed)) for seed in range(200)]
    assert max(one.questions for one in drawn) <= 80
    values = np.stack([one.values for one in drawn])
    error = values.std(0, ddof=1) / np.sqrt(len(values))
    assert np.all(np.abs(values.mean(0) - expected.values) < 4.5 * error + 1e-12)
    assert np.allclose(values.sum(1), game.whole - game.nothing)


def test_all_owen_questions_are_asked_in_one_call() -> None:
    predictor: Any = Function(lambda record: float(sum(record["mask"])))
    game = Game(Additive(np.zeros(20)), Oracle(predictor), 0)
    owen.owen(game, 10**6, np.random.default_rng(0))
    assert (predictor.calls, predictor.rows) == (1, owen.questions(20))


def test_texts_are_asked_as_much_as_they_need_and_long_ones_no_more_than_can_be_read() -> None:
    assert needed(TextPlayers.of("很好 ok", 48)) == 512
    assert needed(TextPlayers.of("好" * 48, 48)) == owen.questions(48) > 512
    assert needed(TextPlayers.of("好" * 400, 400)) == budgets.CHARS // 200
    assert needed(TextPlayers.of("好" * 100_000, 48)) == 4 * 48
    assert needed(TablePlayers({}, tuple("abcd"), ())) == 16


def test_an_attribution_says_how_well_it_knows_itself() -> None:
    one = Attribution(np.array([3.0, 4.0]), 1.0, 8.0, np.array([0.0, 5.0]), 10)
    assert one.sampling_error == pytest.approx(1.0)
    assert one.gap == 0
    assert Attribution(np.array([3.0, 4.0]), 0.0, 10.0).gap == pytest.approx(0.3)
    assert Attribution(np.zeros(2)).sampling_error is None


class Additive:
    """Players whose gains add up: every method must give them."""

    def __init__(self, gains: np.ndarray) -> None:
        self.names = tuple(map(str, range(len(gains))))

    def records(self, masks: Bools) -> list[list[Any]]:
        return [[{"mask": tuple(mask.tolist())}] for mask in masks]


def additive(gains: np.ndarray) -> Game:
    predictor: Any = Function(lambda record: float(np.array(record["mask"]) @ gains) + 2)
    return Game(Additive(gains), Oracle(predictor), 0)


def test_every_method_finds_gains_that_add_up() -> None:
    gains = np.random.default_rng(0).normal(size=9)
    generator = np.random.default_rng(1)
    assert np.allclose(shapley.exact(additive(gains)).values, gains)
    assert np.allclose(shapley.kernel(additive(gains), 80, generator).values, gains)
    assert np.allclose(owen.owen(additive(gains), 10**6, generator).values, gains)
    assert np.allclose(occlusion(additive(gains)).values, gains)
    found = lime(additive(gains), 20_000, generator).values
    assert np.corrcoef(found, gains)[0, 1] > 0.999


def test_equal_questions_are_asked_once() -> None:
    predictor: Any = Function(lambda record: 1.0)
    game = Game(Additive(np.zeros(3)), Oracle(predictor), 0)
    masks = np.array([[1, 0, 0]] * 5 + [[0, 1, 0]], np.bool_)
    game.values(masks)
    game.values(masks)
    assert (predictor.calls, predictor.rows) == (1, 2)


def test_lime_is_a_weighted_ridge_regression() -> None:
    from sklearn.linear_model import Ridge

    from modelyard.methods.evaluation.explanation.lime import RIDGE, _ridge

    generator = np.random.default_rng(0)
    design, values, weights = generator.random((50, 4)), generator.random(50), generator.random(50)
    theirs = Ridge(alpha=RIDGE, solver="cholesky").fit(design, values, sample_weight=weights).coef_
    assert np.allclose(_ridge(design, values, weights), theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["hf", "cnn", "linear", "blend"])
def test_integrated_gradients_add_up(kind: str) -> None:
    model = open_differentiable(small_models.huggingface() if kind == "hf" else small_models.ours(kind))
    record = {"text": "The room was very CLEAN 很好 and slow"}
    players = TextPlayers.of(record["text"], 64)
    found = gradients.Gradients(model).integrated(record, 1, players, steps=128)
    assert found.whole is not None
    assert found.base is not None
    assert found.values.sum() == pytest.approx(found.whole - found.base, abs=0.02 * abs(found.whole - found.base))


def test_integrated_gradients_are_captums() -> None:
    from captum import attr as captum

    model = open_differentiable(small_models.ours("cnn"))
    explained = gradients.Gradients(model)
    record = {"text": "the room was awful and very slow"}
    arrays = model.encode([record])
    here, start = model.embed(arrays)["tokens"].detach(), explained.baseline(record, arrays)["tokens"].detach()

    def forward(tokens: torch.Tensor) -> torch.Tensor:
        many = {name: np.repeat(array, len(tokens), 0) for name, array in arrays.items()}
        return gradients.score(model.logits(many, {"tokens": tokens}), 1)

    theirs = captum.IntegratedGradients(forward).attribute(here, start, n_steps=32, method="gausslegendre")
    players = TextPlayers.of(record["text"], 64)
    expected = explained.to_players(record, arrays, {"tokens": theirs}, players)
    found = explained.integrated(record, 1, players, steps=32).values
    assert np.allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    slope = captum.InputXGradient(forward).attribute(here.clone().requires_grad_(True))
    if not start.any():
        assert np.allclose(
            explained.times_input(record, 1, players).values,
            explained.to_players(record, arrays, {"tokens": slope}, players), atol=1e-5,
        )  # fmt: skip


def test_a_linear_models_gradients_are_its_weights_on_the_characters() -> None:
    model = open_differentiable(small_models.ours("linear"))
    record = {"text": "很好 GREAT  很好"}
    players = TextPlayers.of(record["text"], 64)
    found = gradients.Gradients(model).times_input(record, 1, players).values
    logits = model.logits(model.encode([record])).detach()
    empty = model.logits(model.encode([{"text": ""}])).detach()
    expected = (logits - empty)[0, 1] - (logits - empty)[0, 0]
    assert found.sum() == pytest.approx(float(expected), rel=1e-4)
    assert players.names == ("很", "好 ", "GREAT  ", "很", "好")
    assert found[0] == pytest.approx(found[3], rel=0.3)


def test_attention_roll_out_shares_out_what_the_first_token_sees() -> None:
    model = open_differentiable(small_models.huggingface(), attention="eager")
    players = TextPlayers.of("the room was very clean", 64)
    found = rollout.rollout(gradients.Gradients(model), {"text": players.text}, players).values
    assert found.shape == (5,)
    assert (found > 0).all()
    assert found.sum() < 1 + 1e-9


def test_attention_roll_out_of_a_picture_stands_on_its_patches(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    from modelyard.methods.runtimes.model_folder import ModelCard

    torch.manual_seed(0)
    config = ViTConfig(
        image_size=(8, 12), patch_size=4, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, num_channels=1, num_labels=2, initializer_range=0.5,
    )  # fmt: skip
    ViTForImageClassification(config).eval().save_pretrained(tmp_path)
    pixels = {"kind": "image", "height": 8, "width": 12, "channels": 1, "mean": [0.5], "std": [0.5], "fit": "stretch"}
    ModelCard("image-classification", "hf", ("a", "b"), pixels, {}).write(tmp_path)
    model = open_differentiable(tmp_path, attention="eager")
    assert rollout.rolls(model)
    picture = png(np.random.default_rng(0).integers(0, 255, (8, 12, 1), dtype=np.uint8))
    players = ImagePlayers.of(picture, 1, 2)
    found = rollout.rollout(gradients.Gradients(model), {"image": picture}, players).values
    inputs = torch.from_numpy(model.encode([{"image": picture}])["pixel_values"])
    layers = model.module(inputs, output_attentions=True).attentions
    rolled = np.eye(7)
    for layer in layers:
        rolled = (layer[0].double().mean(0).numpy() + np.eye(7)) / 2 @ rolled
    of_patches = rolled[0, 1:].reshape(2, 3)
    expected = (of_patches @ np.array([[2 / 3, 0], [1 / 3, 1 / 3], [0, 2 / 3]])).ravel()
    assert np.allclose(found, expected, rtol=0, atol=1e-6)
    assert found.std() > 1e-4


def image_model(folder: Path, kind: str = "image_cnn") -> Path:
    """An untrained network of pictures."""
    from modelyard.methods import networks
    from modelyard.methods.runtimes.model_folder import ModelCard

    spec = {"kind": kind, "channels": 1, "num_labels": 3, "widths": [4, 8]}
    pixels = {"kind": "image", "height": 16, "width": 16, "channels": 1, "mean": [0.5], "std": [0.5], "fit": "stretch"}
    torch.manual_seed(0)
    networks.save(networks.build(spec), folder)
    ModelCard("image-classification", "modelyard", ("a", "b", "c"), pixels, spec).write(folder)
    return folder


@pytest.mark.parametrize("kind", ["image_cnn", "image_residual"])
def test_grad_cam_is_captums(tmp_path: Path, kind: str) -> None:
    from captum import attr as captum

    model = open_differentiable(image_model(tmp_path, kind))
    pixels = np.random.default_rng(0).integers(0, 255, (16, 16, 1), dtype=np.uint8)
    arrays = model.encode([{"image": png(pixels)}])
    maps = gradcam.last_maps(model)
    assert maps is not None

    def forward(values: torch.Tensor) -> torch.Tensor:
        return gradients.score(model.module(values), 2)

    theirs = captum.LayerGradCam(forward, maps).attribute(
        torch.from_numpy(arrays["pixel_values"]).requires_grad_(True), relu_attributions=True
    )
    found = gradcam.heat(model, maps, arrays, 2)
    assert np.allclose(found, theirs[0, 0].detach().numpy(), rtol=0, atol=1e-7)
    players = ImagePlayers.of(png(pixels), 1, 4)
    assert gradcam.gradcam(gradients.Gradients(model), maps, {"image": png(pixels)}, 2, players).values.shape == (16,)


def test_patches_of_a_picture_cover_it_once() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (13, 10, 3), dtype=np.uint8)
    players = ImagePlayers.of(png(pixels), 3, 4)
    whole, nothing = (players.records(np.full((1, 16), kept))[0][0]["image"] for kept in (True, False))
    again = [ImagePlayers.of(one, 3, 4).pixels for one in (whole, nothing)]
    assert np.array_equal(again[0], pixels)
    assert len(np.unique(again[1].reshape(-1, 3), axis=0)) == 1
    assert np.allclose(players.means(np.ones((26, 20))), 1)


@pytest.fixture(scope="module")
def boosted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A trained model of the format `gbdt` and rows to ask it."""
    from modelyard.stages.train import tabular
    from tests.support.fake_context import FakeContext
    from tests.support.small_tables import people, write_table

    root = tmp_path_factory.mktemp("boosted")
    data = write_table(root / "data", {"train": people(300), "validation": people(80, 1)})
    context = FakeContext(root, {"data": data})
    tabular.run(tabular.Config(kind="boosted_trees", trees={"rounds": 40}), context)
    rows = [{key: row[key] for key in ("age", "city", "income", "code")} for row in people(40, 2)]
    return root / "outputs" / "model", rows


def test_tree_shap_adds_up_and_is_the_sum_over_all_coalitions(boosted: tuple[Path, list[dict[str, Any]]]) -> None:
    from modelyard.methods.tasks import find

    folder, rows = boosted
    trees = Trees(folder)
    found = trees.contributions(rows)
    raw = runtimes.load(folder).logits(find("tabular-classification").values(rows))[:, 1]  # type: ignore[attr-defined]
    assert np.allclose(found[:, 0].sum(1), raw, rtol=0, atol=1e-5)
    size = len(trees.names)
    for row, theirs in list(zip(rows, found[:, 0], strict=True))[:4]:
        encoded = trees._encoded([row])[0]
        values = [_of_coalition(trees, encoded, {p for p in range(size) if code >> p & 1}) for code in range(2**size)]
        for player in range(size):
            expected = sum(
                factorial(bin(code).count("1")) * factorial(size - bin(code).count("1") - 1) / factorial(size)
                * (values[code | 1 << player] - values[code])
                for code in range(2**size) if not code >> player & 1
            )  # fmt: skip
            assert theirs[player] == pytest.approx(expected, abs=1e-9)


def _of_coalition(trees: Trees, row: np.ndarray, there: set[int]) -> float:
    """What the trees answer when absent columns follow both branches by their training rows."""

    def visit(node: Any) -> float:
        if "leaf_value" in node:
            return float(node["leaf_value"])
        if int(node["split_feature"]) in there:
            return visit(node["left_child"] if trees._goes_left(node, float(row[node["split_feature"]]))
                         else node["right_child"])  # fmt: skip
        sides = node["left_child"], node["right_child"]
        counts = [side.get("internal_count", side.get("leaf_count")) for side in sides]
        return sum(count * visit(side) for count, side in zip(counts, sides, strict=True)) / sum(counts)

    return sum(visit(tree["tree_structure"]) for tree in trees._dumped())


@pytest.mark.proof
def test_tree_shap_is_the_shap_packages(tmp_path: Path) -> None:
    """Columns of numbers alone: the package explains no category of LightGBM by itself."""
    import lightgbm
    import shap

    from modelyard.stages.train import tabular
    from tests.support.fake_context import FakeContext
    from tests.support.small_tables import people, write_table

    data = write_table(tmp_path / "data", {"train": people(300), "validation": people(80, 1)})
    context = FakeContext(tmp_path, {"data": data})
    tabular.run(tabular.Config(columns=("age", "income"), trees={"rounds": 30}), context)
    folder = tmp_path / "outputs" / "model"
    trees = Trees(folder)
    rows = [
        {"age": row["age"], "income": row["income"]}
        for row in people(90, 2)
        if row["income"] is not None and row["age"]
    ]
    encoded = trees._encoded(rows)
    assert isinstance(trees.booster, lightgbm.Booster)
    found = trees.contributions(rows)[:, 0]
    theirs = shap.TreeExplainer(trees.booster).shap_values(encoded)
    theirs = theirs[1] if isinstance(theirs, list) else theirs
    assert np.allclose(found[:, :-1], theirs, rtol=0, atol=1e-6)
    # Of raw scores: the package turns probabilities by a rule of its own, not by their own game.
    explainer = shap.TreeExplainer(trees.booster, encoded[:20], feature_perturbation="interventional")
    expected = explainer.shap_values(encoded[20:30])
    expected = expected[1] if isinstance(expected, list) else expected
    predictor: Any = Function(lambda record: float(trees.contributions([record])[0, 0].sum()))
    for row, values in zip(rows[20:30], expected, strict=True):
        game = Game(TablePlayers(row, trees.names, tuple(rows[:20])), Oracle(predictor), 0)
        assert np.allclose(shapley.exact(game).values, values, rtol=0, atol=1e-6)


def test_inside_its_box_a_rows_answer_does_not_change(boosted: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, rows = boosted
    trees, predictor = Trees(folder), runtimes.load(folder)
    checked = 0
    for row in rows:
        found = dict(trees.box(row))
        if row["income"] is None or "≤" not in found.get("income", "") or "<" not in found["income"]:
            continue
        low, high = float(found["income"].split(" < ")[0]), float(found["income"].split("≤ ")[1])
        inside = [{**row, "income": low + (high - low) * share} for share in (0.2, 0.8)]
        answers = predictor.predict([row, *inside])
        assert answers[0].scores == answers[1].scores == answers[2].scores
        checked += 1
    assert checked > 5


def test_partial_dependence_is_scikit_learns() -> None:
    from sklearn.inspection import partial_dependence
    from sklearn.linear_model import LinearRegression
    from sklearn.preprocessing import PolynomialFeatures

    generator = np.random.default_rng(0)
    values = generator.normal(size=(60, 3))
    wide = PolynomialFeatures(2).fit(values)
    model = LinearRegression().fit(wide.transform(values), values[:, 0] * values[:, 1] + values[:, 2] ** 2)

    class Both(LinearRegression):  # type: ignore[misc]
        def predict(self, x: Any) -> Any:
            return model.predict(wide.transform(x))

    fitted = Both().fit(values, values[:, 0])
    grid = np.linspace(-1, 1, 7)
    theirs = partial_dependence(fitted, values, [0], custom_values={0: grid}, kind="average", method="brute")["average"]
    predictor: Any = Function(lambda record: fitted.predict(np.array([[record[key] for key in "abc"]]))[0])
    rows = [dict(zip("abc", row.tolist(), strict=True)) for row in values]
    found = dependence.partial_dependence(Oracle(predictor), rows, "a", grid.tolist())
    assert np.allclose(found.means[:, 0], theirs[0], rtol=0, atol=1e-10)


def test_accumulated_effects_see_a_columns_own_effect_where_columns_hang_together() -> None:
    generator = np.random.default_rng(0)
    first = generator.random(400)
    second = first + generator.normal(size=400) * 0.01
    rows = [{"a": one, "b": other} for one, other in zip(first.tolist(), second.tolist(), strict=True)]
    predictor: Any = Function(lambda record: 3 * record["a"] + 20 * (record["a"] - record["b"]) ** 2)
    found = dependence.accumulated_effects(Oracle(predictor), rows, "a", first.tolist(), 10)
    slopes = np.diff(found.means[:, 0]) / np.diff(found.at)
    assert np.allclose(slopes, 3, atol=1.0)
    partial = dependence.partial_dependence(Oracle(predictor), rows, "a", list(found.at))
    assert np.abs(partial.means[:, 0] - 3 * np.array(found.at)).max() > 5
    middle = np.interp(first, found.at, found.means[:, 0])
    assert abs(middle.mean()) < 0.02


def test_permutation_importance_is_scikit_learns() -> None:
    from sklearn.inspection import permutation_importance
    from sklearn.linear_model import LinearRegression

    generator = np.random.default_rng(0)
    values = generator.normal(size=(200, 3))
    target = values @ [2.0, 0.5, 0.0] + generator.normal(size=200) * 0.1
    model = LinearRegression().fit(values, target)
    theirs = permutation_importance(
        model, values, target, scoring="neg_mean_absolute_error", n_repeats=100, random_state=0
    )
    predictor: Any = Function(lambda record: model.predict(np.array([[record[key] for key in "abc"]]))[0])
    predictor.predict = lambda records: [
        Answer(one) for one in model.predict(np.array([[record[key] for key in "abc"] for record in records]))
    ]
    rows = [dict(zip("abc", row.tolist(), strict=True)) for row in values]
    found = permutation(Oracle(predictor), rows, "abc", absolute_error(target.tolist()), 100, 0)
    assert [one.column for one in found] == ["a", "b", "c"]
    for one in found:
        place = "abc".index(one.column)
        error = theirs.importances_std[place] / 10 * np.sqrt(2)
        assert one.value == pytest.approx(theirs.importances_mean[place], abs=5 * error + 1e-9)
    assert found[0].interval is not None
    assert found[0].interval[0] < found[0].value < found[0].interval[1]
    assert abs(found[2].value) < 0.01


def test_deletion_and_insertion_of_gains_that_add_up_are_known() -> None:
    game = additive(np.array([4.0, 2.0, 1.0, 1.0]))
    curves = curves_of(game, np.array([0, 1, 2, 3]))
    assert curves.tolist() == [[10, 6, 4, 3, 2], [2, 6, 8, 9, 10]]
    assert areas(curves, 4) == ((5 + 6 + 4 + 3), (5 + 6 + 8 + 9)) or areas(curves, 4) == (4.75, 7.25)
    mean = random_areas(game, 400, np.random.default_rng(0))
    assert mean == pytest.approx((6.0, 6.0), abs=0.15)


def test_rank_correlation_is_scipys() -> None:
    from scipy.stats import spearmanr

    generator = np.random.default_rng(0)
    one, other = generator.normal(size=30).round(1), generator.normal(size=30).round(1)
    expected = spearmanr(np.abs(one), np.abs(other)).statistic
    assert rank_correlation(one, other) == pytest.approx(expected, abs=1e-12)
    assert rank_correlation(one, np.ones(30)) == 0


def test_gowers_distance_by_hand() -> None:
    rows = [{"a": 1, "b": "x"}]
    others = [{"a": 5, "b": "x"}, {"a": 1, "b": "y"}, {"a": None, "b": "x"}, {"a": 11, "b": "y"}]
    assert nearest.gower(rows, others, ("a", "b")).tolist() == [[0.2, 0.5, 0.5, 1.0]]
    found = nearest.nearest(np.array([0.2, 0.5, 0.1]), np.array([1, 1, 0]), 0)
    assert found == nearest.Nearest(0, 1, 0.2)
    assert nearest.nearest(np.array([0.2]), np.array([0]), 0) is None
