"""Documents that evaluations wrote, in blocks (`methods/evaluation/blocks.py`): read with care, drawn by a section."""
