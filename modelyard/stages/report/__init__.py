"""Stages that report."""
