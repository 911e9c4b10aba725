"""params.yaml: schema, loading, validation, error messages."""
