"""Tasks written for lm-evaluation-harness, from local files, asked of the model that ships.

`tasks` reads and judges the YAML before anything runs, `lm` is the model as the harness sees it, `running` lets the
harness ask, `scoring` gives each figure its interval.
"""
