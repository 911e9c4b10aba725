"""The files that pass between stages, read and checked: portraits, prompts, vocabulary, external pictures."""
