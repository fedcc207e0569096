"""Stages that bring, clean and split data."""
