"""A predictor that lives elsewhere, asked over HTTP: `forms` says how a record is put into words and an answer read,
`predictor` sends them, several at a time, within a budget, never twice."""
