"""A running service of a release: gateway, batching, protocols, limits."""
