"""Networks that are no Hugging Face architecture: a closed table of small modules, built from `network`
in model.json.
"""
