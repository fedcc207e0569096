"""Tests of behaviour that a user writes down: CheckList (Ribeiro et al. 2020)."""
