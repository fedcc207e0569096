"""Looking into data sets: which there are, their rows, what was removed, statistics, versions, and search."""

from modelyard.app.data.comparing import diff, history
from modelyard.app.data.contracts import contract
from modelyard.app.data.looking import data_sets, removed, removed_ids, rows, sample, stats
from modelyard.app.data.searching import search

__all__ = ["contract", "data_sets", "diff", "history", "removed", "removed_ids", "rows", "sample", "search", "stats"]
