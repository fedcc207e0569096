"""Quality contracts: what arriving data must be, checked in one pass over it, and proposed from data that is good."""
