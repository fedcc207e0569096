"""The nouns of the house: frozen types without I/O and without heavy libraries."""
