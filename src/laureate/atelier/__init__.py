"""The embedded world: people and portraits that the project draws, so that it knows their truth."""
