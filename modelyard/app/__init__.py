"""Use cases and the views that the command line and Python both render."""
