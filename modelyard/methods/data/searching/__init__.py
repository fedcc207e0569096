"""Finding rows: by words (full text) and by conditions on columns."""
