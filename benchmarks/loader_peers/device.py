"""An accelerator that computes so many tokens a second, padding included, and does nothing else: it sleeps."""

import json
import time


class Device:
    """Takes batches; afterwards says how long it waited for them."""

    def __init__(self, rate):
        self.rate = rate
        self.start = time.perf_counter()
        self.first = None
        self.busy, self.cells, self.tokens, self.rows = 0.0, 0, 0, 0
        self.epochs = []

    def step(self, cells, tokens, rows):
        now = time.perf_counter()
        self.first = self.first or now - self.start
        time.sleep(cells / self.rate)
        self.busy += time.perf_counter() - now
        self.cells, self.tokens, self.rows = self.cells + cells, self.tokens + tokens, self.rows + rows

    def end_epoch(self):
        wall = time.perf_counter() - self.start
        self.epochs.append(
            {
                "idle": 1 - self.busy / wall,
                "first": self.first,
                "tokens_per_second": self.tokens / wall,
                "padding": 1 - self.tokens / self.cells,
                "rows": self.rows,
                "tokens": self.tokens,
            }
        )
        self.start, self.first = time.perf_counter(), None
        self.busy, self.cells, self.tokens, self.rows = 0.0, 0, 0, 0

    def tell(self):
        print(json.dumps(self.epochs))
