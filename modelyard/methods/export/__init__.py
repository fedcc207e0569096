"""Writing a trained model in the form an inference engine reads, checked against its source."""
