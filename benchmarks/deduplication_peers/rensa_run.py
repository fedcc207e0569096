"""rensa: its signatures (Rust) of shingles made in Python; banding in Python, candidates compared exactly."""

import numpy as np
import shingling
from rensa import RMinHash


def minima(sets):
    matrix = RMinHash.digest_matrix_from_token_sets([list(one) for one in sets], shingling.BANDS * shingling.ROWS, 42)
    rows = matrix.to_rows()
    return [
        np.array(row, np.uint32).data.cast("B").cast("I") if one else None for row, one in zip(rows, sets, strict=True)
    ]


if __name__ == "__main__":
    shingling.run(minima)
