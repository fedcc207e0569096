"""Progress in the terminal: a moving line with rate and time left; plain lines when not a terminal."""

from __future__ import annotations

import shutil
import sys
from typing import TextIO

from modelyard.base.clock import monotonic
from modelyard.base.messages import t
from modelyard.cli.output import cut, duration, visible

PLAIN_EVERY_SECONDS = 10.0
MOVING_EVERY_SECONDS = 0.1


class TerminalListener:
    """Writes what happens to standard error, so that standard output holds results only."""

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self.stream = stream or sys.stderr
        self.moving = self.stream.isatty()
        self.quiet = quiet
        self.heads: dict[str, str] = {}
        self.what = ""
        self.began = self.shown = monotonic()
        self.first = 0
        self.dirty = False

    def step_started(self, step: str, uses: str, position: int, total: int) -> None:
        self.heads[step] = f"[{position}/{total}] {step}"
        self.what = ""
        self.began = self.shown = monotonic()
        self._line(f"{self.heads[step]}  {uses}")

    def step_cached(self, step: str, uses: str, position: int, total: int) -> None:
        self._line(f"[{position}/{total}] {step}  {uses}  {t('cached')}")

    def step_done(self, step: str, seconds: float) -> None:
        self._line(f"{self.heads.pop(step, step)}  {t('done in {time}', time=duration(seconds))}")

    def step_failed(self, step: str, message: str) -> None:
        self._line(f"{self.heads.pop(step, step)}  {t('failed')}")

    def step_left_out(self, step: str, reason: str) -> None:
        self._line(f"{self.heads.pop(step, step)}  {t('does not fit: {reason}', reason=visible(reason))}")

    def waiting(self, step: str) -> None:
        self._line(t("{step}: another run is making this; waiting for it", step=step))

    def note(self, step: str, message: str) -> None:
        for line in message.splitlines():
            self._line(f"    {self._whose(step)}{visible(line)}")

    def progress(self, step: str, done: int, total: int, what: str) -> None:
        now = monotonic()
        counted = f"{self._whose(step)}{what}"
        if counted != self.what or done < self.first:
            self.what, self.first, self.began = counted, done, now
        every = MOVING_EVERY_SECONDS if self.moving else PLAIN_EVERY_SECONDS
        if now - self.shown < every:
            return
        self.shown = now
        text = f"    {self._whose(step)}{done}/{total} {t(what)}{self._rate(done, total, now)}"
        if self.moving:
            columns = shutil.get_terminal_size().columns
            self._write("\r\x1b[2K" + cut(text, columns - 1))
            self.dirty = True
        else:
            self._line(text)

    def _whose(self, step: str) -> str:
        """Which step tells, where several are under way."""
        return f"{step}: " if len(self.heads) > 1 else ""

    def _rate(self, done: int, total: int, now: float) -> str:
        elapsed = now - self.began
        if done <= self.first or elapsed <= 0:
            return ""
        rate = (done - self.first) / elapsed
        left = duration(max(total - done, 0) / rate)
        return "  " + t("{rate:.4g}/s, {left} left", rate=rate, left=left)

    def _line(self, text: str) -> None:
        if self.quiet:
            return
        self._write(("\r\x1b[2K" if self.dirty else "") + text + "\n")
        self.dirty = False

    def _write(self, text: str) -> None:
        if self.quiet:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            self.quiet = True  # the terminal is gone; the run goes on
