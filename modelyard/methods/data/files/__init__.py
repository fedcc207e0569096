"""Where files lie: folders, archives, workbooks, object stores. What is in them is the business of the rooms beside."""
