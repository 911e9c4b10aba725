"""Draw portraits of invented people from known attributes, a style and a seed."""
