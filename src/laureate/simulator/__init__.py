"""Simulate the prize site: portraits of invented people, and the museum that serves them."""
