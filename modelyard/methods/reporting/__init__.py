"""The transparency report: from a record of runs and evidence to one HTML page and JSON."""

from modelyard.methods.reporting.finite import finite
from modelyard.methods.reporting.page import language_of, render
from modelyard.methods.reporting.record import About, Record, parse

__all__ = ["About", "Record", "finite", "language_of", "parse", "render"]
