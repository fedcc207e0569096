"""Learning rates as the runs recorded them beside the formulas, and what came of each on validation.

    modelyard run          # first
    python curves.py       # prints the largest difference, writes curves.svg

The formulas are written here once more, from the papers, so that they are compared and not repeated.
"""

from collections.abc import Callable
from math import cos, pi, sqrt
from pathlib import Path

import modelyard

HERE = Path(__file__).parent
RATE = 4e-3  # of this network, when none is set
WARMUP = 0.1

# x is the share of the steps after the warmup that is done, s the share of all steps.
FORMULAS: dict[str, Callable[[float, float], float]] = {
    "constant": lambda x, s: 1.0,
    "step": lambda x, s: 0.3 ** int(4 * x),
    "exponential": lambda x, s: 0.05**x,
    "linear": lambda x, s: 1 - x,
    "cosine": lambda x, s: 0.05 + 0.95 * (1 + cos(pi * x)) / 2,
    "wsd": lambda x, s: 1 - sqrt(max(s - 0.6, 0) / 0.4),
}
WIDTH, HEIGHT = 250, 120


def formula(name: str, step: int, steps: int) -> float:
    """The rate of the step with this number, from 0."""
    warmup = round(WARMUP * steps)
    if step < warmup:
        return RATE * (step + 1) / warmup
    return RATE * FORMULAS[name]((step - warmup) / (steps - warmup), step / steps)


def panel(
    left: int, top: int, title: str, lines: list[tuple[str, list[tuple[float, float]], bool]], most: float
) -> str:
    """One small chart: named lines of (share of the width, value), drawn through or as dots."""
    parts = [
        f'<g transform="translate({left},{top})"><text y="-6">{title}</text>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#bbb"/>'
    ]
    for colour, points, dots in lines:
        places = [(x * WIDTH, HEIGHT - HEIGHT * y / most) for x, y in points]
        if dots:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.6" fill="{colour}"/>' for x, y in places]
        else:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
    return "".join([*parts, "</g>"])


def main() -> None:
    charts = []
    for position, name in enumerate(FORMULAS):
        found = modelyard.curves(name, project=HERE)
        steps = found["validation_loss"][-1][0]
        # What is logged after step n was the rate of the step with the number n - 1.
        rates = [(step, value) for step, value in found["learning_rate"]]
        furthest = max(abs(value - formula(name, step - 1, steps)) for step, value in rates)
        losses = found["validation_loss"]
        best = min(value for _, value in losses)
        print(
            f"{name:12} {len(rates)} rates, at most {furthest:.1e} from the formula; least validation loss {best:.4f}"
        )
        column, row = position % 3, position // 3
        line = [(step / steps, formula(name, step, steps)) for step in range(steps)]
        points = [(step / steps, value) for step, value in rates[::4]]
        charts.append(
            panel(20 + column * 280, 40 + row * 170, name, [("#999", line, False), ("#c33", points, True)], RATE * 1.05)
        )
    found = modelyard.curves("stopped", project=HERE)
    losses, trained = found["validation_loss"], found["loss"]
    last = losses[-1][0]
    best_step = min(losses, key=lambda point: point[1])[0]
    print(f"stopped      after {last} steps, the weights of step {best_step} are kept")
    most = 1.05 * max(value for _, value in losses + trained)
    lines = [
        ("#999", [(step / last, value) for step, value in trained], False),
        ("#c33", [(step / last, value) for step, value in losses], True),
        ("#c33", [(step / last, value) for step, value in losses], False),
    ]
    charts.append(panel(20, 380, "stopped: training loss (grey), validation loss (red)", lines, most))
    size = 'width="860" height="530" font-family="sans-serif" font-size="12"'
    body = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(charts)}</svg>'
    (HERE / "curves.svg").write_text(body + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
