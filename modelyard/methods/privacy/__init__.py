"""Personal data: found, hidden, and how much of it was found."""
