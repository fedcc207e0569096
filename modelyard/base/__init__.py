"""Ground floor: canonical JSON, strict YAML, durable files, clocks, messages. Knows nothing above it."""
