"""Tasks: what a model is for. One file a task: its records, predictions and how scores become answers."""
