"""Helpers around torch: device and precision, seeded generators, several processes, tensors on disk."""
