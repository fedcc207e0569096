"""Statistics of data sets of any size in constant memory: sketches, columns, and how two data sets differ."""
