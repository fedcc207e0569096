"""What the benchmarks share: environments for peers, the machine in words, result pages."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = HERE / ".work"
RESULTS = HERE / "results"


def peer_python(name: str, packages: Sequence[str]) -> Path:
    """Python of an environment that holds a peer and nothing of ours; made once."""
    folder = WORK / "environments" / name
    python = folder / "bin" / "python"
    mark = folder / ".packages"
    wanted = "\n".join(packages)
    if not mark.is_file() or mark.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-qqq", *packages], check=True)
        mark.write_text(wanted)
    return python


def version_in(python: Path | str, distribution: str) -> str:
    """The version of a distribution in an environment."""
    code = f"from importlib.metadata import version; print(version({distribution!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def machine() -> str:
    """Processor, cores, memory and system in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def write_result(name: str, title: str, body: str, versions: Sequence[str]) -> Path:
    """`results/NAME.md`: the table with machine, versions and date."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.md"
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    text = f"# {title}\n\n{body}\n\n- Machine: {machine()}\n- Versions: {', '.join(versions)}\n- Date: {date}\n"
    path.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return path


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
