"""Whether a network's layers hold a concept that a person described by examples, and whether answers follow it."""
