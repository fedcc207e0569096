"""Learning that minds groups of rows: worst-group losses, adversaries that look for the group, constraints on rates."""
