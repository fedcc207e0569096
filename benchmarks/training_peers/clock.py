"""What every worker tells: how long, how fast in the second half (compiling and warming up are over then), memory."""

import json
import resource
import sys
import time


class Clock:
    """Notes when each optimizer step ended."""

    def __init__(self):
        self.began = time.perf_counter()
        self.ends = []

    def step(self):
        self.ends.append(time.perf_counter())

    def tell(self, units, **more):
        """One line of JSON on standard output. `units`: tokens, chats or images learned from, in all steps together."""
        seconds = time.perf_counter() - self.began
        half = len(self.ends) // 2
        late = units * (len(self.ends) - half) / len(self.ends) / (self.ends[-1] - self.ends[half - 1])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"rate": units / seconds, "late_rate": late, "peak_mib": peak, **more}))
        sys.stdout.flush()


def job():
    """The job this worker was given: its last argument."""
    return json.loads(sys.argv[-1])
