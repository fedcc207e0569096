"""Where a thing in the project stands: `file:line`, a `--set` on the command line, or its path in a Python dict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelyard.base.yaml import Document, KeyPath


@dataclass(frozen=True)
class Source:
    """Attributes:
    document: the file; None if the project was made in Python.
    overrides: paths that `--set` wrote, and the text of the option.
    """

    document: Document | None = None
    overrides: Mapping[KeyPath, str] = field(default_factory=dict)

    def where(self, path: KeyPath, of_value: bool = False) -> str:
        """A place the user can go to. `of_value`: the line where the value begins, not its key."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.overrides:
                return f"--set {self.overrides[path[:length]]}"
        if self.document is not None:
            return self.document.where(path, of_value)
        return ".".join(str(part) for part in path) or "project"

    def line(self, path: KeyPath) -> int:
        """1-based line of the key; 0 if the project was made in Python."""
        return self.document.line(path) if self.document is not None else 0

    def setting_lines(self, path: KeyPath) -> dict[str, int]:
        """Dotted path below `path` to line, for every setting in the file."""
        if self.document is None:
            return {}
        length = len(path)
        return {
            ".".join(str(part) for part in key[length:]): line
            for key, line in self.document.key_lines.items()
            if len(key) > length and key[:length] == path
        }
