"""Tasks on texts beside single-label classification: several labels, a number, spans, and several tasks at once."""
