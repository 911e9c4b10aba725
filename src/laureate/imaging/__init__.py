"""Pictures: decoding received bytes, cropping and resizing, near-duplicates."""
