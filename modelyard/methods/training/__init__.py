"""One training loop; optimizer, schedule, precision, batching and checkpoints are axes that compose."""
