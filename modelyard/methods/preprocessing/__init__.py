"""From records to arrays: one file a kind, named in `preprocessing` of model.json; trained, saved and loaded here."""
