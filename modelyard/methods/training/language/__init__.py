"""Language models on the one loop: what they read (documents, chats, pairs), what they minimise, how they are judged.

`documents` holds token sequences, `packing` puts them in lines and feeds them, `network` is the forward pass, `models`
makes or opens what is trained, `pretraining`, `instruction` and `preference` are the three ways to learn.
"""
