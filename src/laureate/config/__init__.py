"""The parameters: their schema, loading and validation of params.yaml, and its error messages."""
