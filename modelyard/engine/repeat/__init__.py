"""Steps that repeat other steps: a search for good settings, and folds (cross-validation).

Every trial and every fold is a run of its own, with a key of its own, made by the executor like any other. So an equal
trial is never run twice, and a search that was killed is not "loaded" again: it is conducted again, and what was done
is found in the ledger.
"""
