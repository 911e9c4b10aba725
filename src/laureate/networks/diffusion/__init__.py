"""A frozen Stable Diffusion: its files, its encoders and decoder, its noise schedule."""
