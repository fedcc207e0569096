"""Whom a model serves worse: rates by group, gaps between groups, and answers that hang on a word of identity."""
