"""Stages that make one model of several."""
