"""Columns that know the answer: what each tells alone, what the rest tells without it, and what it was made of."""
