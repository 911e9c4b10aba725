"""Makers of the embedded world's prompts, base and judges, and the oracle that checks the study."""
