"""Portraits of invented people, drawn from attributes, a style and a seed, so that their truth is known."""
