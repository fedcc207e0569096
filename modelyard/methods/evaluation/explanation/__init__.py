"""Why a model answers as it does, and how far such an explanation can be believed. One file a method.

A row is cut into players (`players.py`: words, characters, columns, patches of a picture); a game (`game.py`) says what
the model answers when only some of them are there. Methods that need answers alone (Shapley values, LIME, occlusion)
take a game and work on any predictor; methods that need gradients take the network. All give one number a player, so
that `faithfulness.py` measures them by the same test.
"""
