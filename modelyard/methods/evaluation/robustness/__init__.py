"""How right answers stay when inputs change: families of changes by kind of record, and what is measured under them."""
