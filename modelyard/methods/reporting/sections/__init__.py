"""The page's sections, a file each: from a View to a Section, or None if the record has no facts for it."""
