"""Get a base model: resumable HTTP downloads, conversion of single-file checkpoints."""
