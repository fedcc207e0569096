"""Texts as such: repair by fixed rules, markup, the forms of Chinese. Pure functions that both data and models use."""
