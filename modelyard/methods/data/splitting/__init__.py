"""Dividing a data set into sides and folds, with no text and no group on two of them."""
