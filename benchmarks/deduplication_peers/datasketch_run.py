"""datasketch: MinHash in bulk with xxHash for SHA-1, which is faster, its MinHashLSH, candidates compared exactly."""

import sys

import numpy as np
import shingling
import xxhash
from datasketch import MinHash, MinHashLSH


def main():
    source, target, unit = sys.argv[1:4]
    clock = shingling.Clock()
    table = shingling.read(source)
    sets = [shingling.shingles(text or "", unit) for text in table.column("text").to_pylist()]
    num_perm = shingling.BANDS * shingling.ROWS
    lsh = MinHashLSH(shingling.THRESHOLD, num_perm, params=(shingling.BANDS, shingling.ROWS))
    encoded = ([shingle.encode() for shingle in one] for one in sets)
    candidates = set()
    made = MinHash.generator(encoded, num_perm=num_perm, hashfunc=xxhash.xxh32_intdigest)
    for row, minhash in enumerate(made):
        if sets[row]:
            candidates.update((other, row) for other in lsh.query(minhash))
            lsh.insert(row, minhash, check_duplication=False)
    pairs = shingling.verified(candidates, sets)
    places = shingling.clusters(pairs, len(sets))
    keep = [row == place for row, place in enumerate(places)]
    shingling.write(table, keep, target)
    shingling.tell(clock.stop(), pairs, sum(keep))


if __name__ == "__main__":
    np.seterr(over="ignore")
    main()
