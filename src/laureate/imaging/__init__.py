"""Decode, crop and resize pictures; recognise blank ones and near-duplicates."""
