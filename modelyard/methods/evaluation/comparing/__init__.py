"""Two predictors on the same rows: who is right where, whether it could be chance, which rows got worse, at what cost.

`scoring` says what a row is worth by task, `testing` compares two columns of such scores, `slicing` makes groups of
rows without looking at the answers, `finding` tests them all and keeps the share of false findings down, `costing` is
bytes and time, `showing` what a page draws.
"""
