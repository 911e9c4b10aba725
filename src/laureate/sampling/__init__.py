"""From prompts and noise to pictures, with the base or with an adapter."""
