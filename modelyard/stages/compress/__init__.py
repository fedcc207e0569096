"""Stages that compress models."""
