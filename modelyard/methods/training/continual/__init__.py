"""Going on with a trained model: new rows are learned, old ones are not forgotten.

Replay mixes rows of the old data in, elastic weights (EWC) hold what the old answers rest on, distillation holds the
answers themselves. Each is an axis of its own: replay chooses rows, the other two wrap any objective of the loop.
"""
