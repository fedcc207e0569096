"""The frame of a chart: scales, ticks that a person would choose, axes, and the figure around the drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.methods.reporting.markup import Markup, Node, el


@dataclass(frozen=True)
class Scale:
    """Maps `low..high` to `start..end` pixels; `log` takes the logarithm first (values must be above 0)."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = self.low, self.high, min(max(value, min(self.low, self.high)), max(self.low, self.high))
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(at)
        part = (at - low) / (high - low) if high != low else 0.5
        return round(self.start + part * (self.end - self.start), 2)

    def ticks(self, about: int = 5) -> list[float]:
        return log_ticks(self.low, self.high) if self.log else nice_ticks(self.low, self.high, about)


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within `low..high`. Heckbert, Graphics Gems, 1990."""
    span = high - low
    if not span > 0:
        return [low]
    rough = span / max(about, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within `low..high`; with fewer than three also twice and five times them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = [10.0**power for power in range(first, last + 1)]
    for factors in ((1,), (1, 2, 5), range(1, 10)):
        ticks = [round(power * factor, 12) for power in powers for factor in factors if low <= power * factor <= high]
        if len(ticks) >= 3:
            return ticks
    return nice_ticks(low, high, 3)


def tick_text(value: float) -> str:
    """A tick as short as it can be: `0.2`, `5k`, `1e-4`."""
    if value != 0 and abs(value) < 0.001:
        mantissa, power = f"{value:.0e}".split("e")
        return f"{mantissa}e{int(power)}"
    if abs(value) >= 10_000:
        return f"{value / 1e6:g}M" if abs(value) >= 1e6 else f"{value / 1000:g}k"
    return f"{value:.4g}"


@dataclass(frozen=True)
class Frame:
    """A drawing area with an x and a y scale.

    Attributes:
        width, height: of the whole drawing, in CSS pixels at full size.
        x, y: scales to pixels.
    """

    width: int
    height: int
    x: Scale
    y: Scale

    @classmethod
    def of(
        cls, x: tuple[float, float], y: tuple[float, float], width: int = 340, height: int = 250, log_x: bool = False
    ) -> Frame:
        top, right, bottom = 10, 10, 38
        upright = Scale(*y, height - bottom, top)
        left = 26 + 6.2 * max((len(tick_text(tick)) for tick in upright.ticks()), default=1)
        return cls(width, height, Scale(*x, left, width - right, log_x), upright)

    def axes(self, x_label: str, y_label: str) -> list[Markup]:
        """Grid lines, tick labels and the axes' names."""
        left, right, base, top = self.x.start, self.x.end, self.y.start, self.y.end
        parts = []
        for tick in self.y.ticks():
            at = self.y(tick)
            parts.append(el("line", class_="grid", x1=left, x2=right, y1=at, y2=at))
            parts.append(el("text", tick_text(tick), class_="tick", x=left - 6, y=at + 3.5, text_anchor="end"))
        for tick in self.x.ticks():
            at = self.x(tick)
            parts.append(el("line", class_="grid", x1=at, x2=at, y1=base, y2=base + 4))
            parts.append(el("text", tick_text(tick), class_="tick", x=at, y=base + 15, text_anchor="middle"))
        parts.append(el("line", class_="axis", x1=left, x2=right, y1=base, y2=base))
        middle = (left + right) / 2
        parts.append(el("text", x_label, class_="name", x=middle, y=self.height - 5, text_anchor="middle"))
        centre = (top + base) / 2
        turn = f"rotate(-90 11 {centre:g})"
        parts.append(el("text", y_label, class_="name", x=11, y=centre, text_anchor="middle", transform=turn))
        return parts

    def svg(self, title: str, *children: Node, class_: str = "plot") -> Markup:
        return svg(self.width, self.height, title, *children, class_=class_)


def svg(width: float, height: float, title: str, *children: Node, class_: str = "plot") -> Markup:
    """An SVG that shrinks with its box and never grows past its own size by more than the style allows."""
    box = f"0 0 {width:g} {height:g}"
    style = f"max-width:{width * 1.35:g}px"
    return el("svg", el("title", title), *children, class_=class_, viewBox=box, role="img", style=style)


def figure(title: str, *children: Node, note: Node = None, class_: str = "chart", **attributes: str) -> Markup:
    """A chart in its box, its title above and what to know about it below."""
    below = el("p", note, class_="note") if note else None
    return el("figure", el("figcaption", title), *children, below, class_=class_, **attributes)


def legend(names: Sequence[Node]) -> Markup:
    """Names of series in the order of their colours."""
    items = [el("li", el("i", class_=f"key s{index}"), name) for index, name in enumerate(names)]
    return el("ul", *items, class_="legend")


def path(points: Sequence[tuple[float, float]]) -> str:
    """SVG path data through `points` in pixels."""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
