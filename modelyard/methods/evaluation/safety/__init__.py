"""What a model gives away and what it lets itself be told: memorisation, membership, question banks."""
