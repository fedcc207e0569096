"""How sure a model may be: calibration, coverage of sets and intervals, answers withheld, rows from elsewhere."""
