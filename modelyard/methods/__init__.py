"""The mathematics and the machine learning. Knows nothing of the platform: usable alone as a library."""
