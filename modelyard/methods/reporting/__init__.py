"""The transparency report: from a record of runs and evidence to one HTML page and JSON."""
