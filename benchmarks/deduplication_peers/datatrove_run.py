"""datatrove: its four steps, one worker, with our shingles: its normalization off, tokens from `shingling.py`.

It compares no candidates: what shares a bucket is one cluster.
"""

import shutil
import struct
import sys
from pathlib import Path

import shingling
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.logging import logger
from datatrove.utils.text import TextNormConfig
from datatrove.utils.word_tokenizers import WordTokenizer


class Units(WordTokenizer):
    def word_tokenize(self, text):
        return shingling.tokens(text, self.language)

    def sent_tokenize(self, text):
        return [text]

    def span_tokenize(self, text):
        return [(0, len(text))]


def main():
    logger.remove()
    source, target, unit = sys.argv[1:4]
    work = Path(target)
    shutil.rmtree(work, ignore_errors=True)
    off = TextNormConfig(*[False] * 7)
    config = MinhashConfig(
        shingling.SIZE, shingling.BANDS, shingling.ROWS, norm_config=off, hash_config=HashConfig(32, "xxhash")
    )
    clock = shingling.Clock()

    def reader():
        return ParquetReader(str(Path(source) / "all"), text_key="text", id_key="row_id", batch_size=8192)

    def step(name, tasks, *parts):
        LocalPipelineExecutor(list(parts), tasks=tasks, workers=1, logging_dir=str(work / "logs" / name)).run()

    step("1", 1, reader(), MinhashDedupSignature(str(work / "signatures"), config, language=Units(unit)))
    buckets = MinhashDedupBuckets(str(work / "signatures"), str(work / "buckets"), config=config, lines_to_buffer=-1)
    step("2", shingling.BANDS, buckets)
    step("3", 1, MinhashDedupCluster(str(work / "buckets"), str(work / "remove"), config=config, lines_to_buffer=-1))
    step("4", 1, reader(), MinhashDedupFilter(str(work / "remove"), lines_to_buffer=-1),
         ParquetWriter(str(work / "kept"), compression="zstd"))  # fmt: skip
    measured = clock.stop()
    pairs = set()
    for file in (work / "buckets").glob("*.dups"):
        pairs.update(
            tuple(sorted((first, second))) for _, first, _, second in struct.iter_unpack("<4I", file.read_bytes())
        )
    removed = sum(file.stat().st_size // 4 for file in (work / "remove").glob("*.remove"))
    shingling.tell(measured, pairs, shingling.read(source).num_rows - removed)


if __name__ == "__main__":
    main()
