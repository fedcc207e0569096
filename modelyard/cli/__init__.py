"""The command line; each command's module is imported when it is called."""
