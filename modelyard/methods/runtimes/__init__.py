"""Runtimes: one `load` for a model in any format; a runtime is one file, named in `model.json`'s `format`.

A model folder holds `model.json` (`ModelCard` in model_folder.py), its weights and its preprocessing files.
"""
