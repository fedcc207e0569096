"""Stages that measure models. Only these may see the test split."""
