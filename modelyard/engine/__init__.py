"""From a project file to runs, evidence, decisions and releases."""
