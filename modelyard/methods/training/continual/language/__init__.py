"""Going on with a language model: new texts or chats are learned, what it could say is kept.

`reading` makes the lesson (new documents, old ones among them), `taught` holds the old model's distribution of tokens,
`stiffness` the weights that old texts rest on, `updating` trains.
"""
