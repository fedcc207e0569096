"""What happens to a model in service: live evidence, feedback, experiments. Empty so far."""
