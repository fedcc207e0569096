"""Makes people with an income above or below a line: a table like the census's, with nobody real in it.

Pay follows education, hours, age and sector, and nothing else. Women work fewer paid hours and more often in sectors
that pay less: so their answers will differ although no model is shown the column `sex`.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.stage import Context, Port, Stage

SECTORS = {"care": -0.9, "retail": -0.5, "office": 0.1, "craft": 0.2, "industry": 0.4, "software": 1.1}
SHARES = {"women": (0.3, 0.24, 0.24, 0.06, 0.1, 0.06), "men": (0.08, 0.14, 0.2, 0.2, 0.24, 0.14)}
COLUMNS = (
    ("age", "int64"),
    ("education_years", "int64"),
    ("hours", "int64"),
    ("sector", "string"),
    ("region", "string"),
)


class Config(BaseModel):
    """Settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(4000, ge=100, le=1_000_000, description="people (rows)")


def run(config: Config, context: Context) -> None:
    import numpy as np
    import pyarrow as pa

    from modelyard.methods.data.dataset import ROW_ID, Column, write_schema, write_split

    draw = np.random.default_rng(context.seed)
    rows = []
    for place in range(config.rows):
        sex = "women" if draw.random() < 0.5 else "men"
        age, years = int(draw.integers(18, 68)), int(np.clip(draw.normal(13, 2.6), 8, 20))
        hours = int(np.clip(draw.normal(32 if sex == "women" else 41, 8), 5, 70))
        sector = str(draw.choice(list(SECTORS), p=SHARES[sex]))
        score = 0.45 * (years - 13) + 0.09 * (hours - 38) + SECTORS[sector] + 0.05 * (min(age, 45) - 38)
        above = draw.random() < 1 / (1 + np.exp(-1.4 * score + 0.9))
        region = str(draw.choice(["north", "south", "east", "west"]))
        rows.append({ROW_ID: f"person-{place}", "age": age, "education_years": years, "hours": hours, "sector": sector,
                     "region": region, "sex": sex, "income": "above" if above else "below"})  # fmt: skip
    columns = [Column(ROW_ID, "other", "string"), *(Column(name, "feature", kind) for name, kind in COLUMNS),
               Column("sex", "other", "string"), Column("income", "label", "string")]  # fmt: skip
    table = pa.Table.from_pylist(rows)
    write_schema(context.output("data"), columns)
    write_split(context.output("data"), "all", [table], table.schema)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={},
    outputs={"data": Port("dataset", ("all",), description="people")},
    libraries=("numpy", "pyarrow"),
)
