"""A polite crawler for one site: robots.txt obeyed, slow, bounded, and able to go on after a kill.

robots.py   what a site allows (RFC 9309)
urls.py     one name for one page; traps told by the look of their addresses
pages.py    a page's own text, its links, and what it asks of robots
frontier.py what was found, asked and kept, in a file that survives a kill
visiting.py the walk itself
"""
