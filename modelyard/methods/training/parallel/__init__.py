"""Training in several processes: how a step is cut over them. The loop is the same; a layout is one of its axes."""
