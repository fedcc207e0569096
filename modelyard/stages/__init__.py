"""Stages: one file each, named by its path; the catalog finds them, nothing else is edited to add one."""
