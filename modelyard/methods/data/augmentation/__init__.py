"""More training rows out of those there are: texts and images changed in ways that should not change their class."""
