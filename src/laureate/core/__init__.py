"""Errors, atomic file writes, the project's paths, progress bars."""
