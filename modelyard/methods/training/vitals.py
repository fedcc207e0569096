"""What a run uses: memory of the process, the device's peak, and energy where the machine has a counter."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import torch

from modelyard.base.messages import t
from modelyard.methods.training import devices
from modelyard.methods.training.hooks import Say

POWERCAP = Path("/sys/class/powercap")
MEBI = 2**20


def resident_bytes() -> int | None:
    """Memory of this process that is in RAM; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


class Energy:
    """Joules since it was made, by the processor packages' RAPL counters (the whole machine's, not this process's).

    Attributes:
        readable: whether there is a counter that this process may read.
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        folders = sorted(root.glob("intel-rapl:*")) if root.is_dir() else []
        # intel-rapl:0 is a package, intel-rapl:0:1 a part of it.
        packages = [folder for folder in folders if folder.name.count(":") == 1]
        self._last = {folder: value for folder in packages if (value := _number(folder / "energy_uj")) is not None}
        self._micro = 0
        self.readable = bool(self._last)

    def joules(self) -> float:
        """So far. Counters that began again from 0 are followed, if read at least once a turn (about a minute)."""
        for folder, before in self._last.items():
            now = _number(folder / "energy_uj")
            if now is None:
                continue
            turn = 0 if now >= before else _number(folder / "max_energy_range_uj") or 0
            self._micro += now - before + turn
            self._last[folder] = now
        return self._micro / 1e6


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


class Vitals:
    """Read at every point of the curves."""

    def __init__(self, device: torch.device, say: Say, energy: Energy | None = None) -> None:
        self._device, self._energy = device, energy or Energy()
        if not self._energy.readable:
            say(t("energy is not estimated: no counter that can be read"))

    def read(self) -> dict[str, float]:
        """`memory_mib`, `device_memory_mib` (peak) and `energy_joules`, those that there are."""
        return dict(self._found())

    def _found(self) -> Iterable[tuple[str, float]]:
        resident = resident_bytes()
        if resident is not None:
            yield "memory_mib", resident / MEBI
        peak = devices.peak_bytes(self._device)
        if peak is not None:
            yield "device_memory_mib", peak / MEBI
        if self._energy.readable:
            yield "energy_joules", self._energy.joules()
