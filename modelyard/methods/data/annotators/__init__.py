"""Labels by several annotators: their votes read, how far they agree, and one label made of them."""
