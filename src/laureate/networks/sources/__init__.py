"""Where a base model comes from: HTTP downloads and the conversion of single-file checkpoints."""
