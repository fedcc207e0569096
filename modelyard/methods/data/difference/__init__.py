"""Two versions of a data set beside each other: rows by their ids, in constant memory."""

from modelyard.methods.data.difference.comparing import Difference, difference

__all__ = ["Difference", "difference"]
