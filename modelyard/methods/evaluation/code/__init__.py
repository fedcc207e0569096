"""Code that a model wrote: run with tests of the user's, confined."""
