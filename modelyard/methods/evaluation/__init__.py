"""Metrics, their intervals and the baselines beside them."""
