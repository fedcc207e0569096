"""Data: reading, cleaning, splitting, and the data set folder every step reads and writes."""
