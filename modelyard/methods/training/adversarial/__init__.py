"""Adversarial training: an objective that wraps another and also counts its loss where the inputs are worst."""
