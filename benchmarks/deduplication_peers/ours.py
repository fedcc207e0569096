"""The stage data.deduplicate as it is; afterwards, untimed, the pairs it found."""

import sys
from pathlib import Path

import numpy as np
import shingling

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.duplicates import folding, near  # noqa: F401 (imported before the clock, as peers are)
from modelyard.methods.data.duplicates.banding import Banding
from modelyard.methods.data.duplicates.texts import TextSearch, TextSettings
from modelyard.stages.data import deduplicate
from tests.support.fake_context import FakeContext


def main():
    source, target, unit = sys.argv[1:4]
    folding._tables()  # 0.1 s, once a process
    root = Path(target)
    clock = shingling.Clock()
    context = FakeContext(root, {"data": Path(source)})
    deduplicate.run(deduplicate.Config(shingles=unit, size=shingling.SIZE, threshold=shingling.THRESHOLD), context)
    measured = clock.stop()
    data = Dataset.open(Path(source))
    settings = TextSettings(unit, shingling.SIZE, shingling.THRESHOLD, Banding(shingling.BANDS, shingling.ROWS))
    search = TextSearch(data, "text", settings, root, 1, lambda done: None)
    found = search.run(lambda found: np.ones(len(found.texts), dtype=bool))
    search.close()
    edges = zip(found.edges.firsts.tolist(), found.edges.seconds.tolist(), strict=True)
    same = ((int(first), row) for row, first in enumerate(found.texts) if first != row)
    shingling.tell(measured, {*edges, *same}, context.value("data.rows"))


if __name__ == "__main__":
    main()
