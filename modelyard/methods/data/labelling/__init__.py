"""Labels and people: the queue of rows to look at, the answers that were given, and data corrected by them."""
