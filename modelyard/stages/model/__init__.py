"""Stages that bring models."""
