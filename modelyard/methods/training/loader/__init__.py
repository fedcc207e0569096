"""Feeding an accelerator from a data set's shards: tokens made once, batches planned, the next ones ready in time.

`store` keeps tokens as memory-mapped arrays, `plans` decides which rows make a batch, `collating` makes its tensors,
`feeding` hands batches out in order with a thread that works ahead.
"""
