"""Statistics that several rooms need; plain Python, imports nothing heavy."""
