"""The only code that writes durable state: artifacts, ledger, keys."""
