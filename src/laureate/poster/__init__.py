"""Posters: a portrait and texts laid out by a template."""
