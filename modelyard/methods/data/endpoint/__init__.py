"""Labels from a language model behind an OpenAI-compatible chat endpoint.

prompting.py  what is asked: instruction, classes, examples, and the row's text marked off as data
answering.py  what an answer says: one of the classes, or nothing
asking.py     the questions sent, within a budget, never twice for the same row
judging.py    which rows are asked, and how far the endpoint agrees with people
"""
