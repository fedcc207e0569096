"""Encoders, and encoders with a decoder, on the one loop: filling masks, sentence embeddings, text to text.

`corpus` holds texts cut into pieces with their words marked, `masking` hides some of them anew in every epoch, `models`
makes or opens what is trained. `pairs` and `contrast` are what sentence embeddings learn from and by, `sequences` what
text to text does. Packing, objectives and the run itself are those of `training/language`.
"""
