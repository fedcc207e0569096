"""One model of several: ensembles (answers combined) and merged weights."""
