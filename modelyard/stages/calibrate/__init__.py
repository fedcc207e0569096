"""Stages that fit how sure a trained model is, on rows it did not learn from."""
