"""Near duplicates: texts that share most of their shingles, images that look alike."""
