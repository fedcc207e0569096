"""Training on tables: boosted trees, linear models, a transformer over columns."""
