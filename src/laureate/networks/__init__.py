"""Neural networks: the diffusion model, LoRA adapters, CPU backends, where weights come from."""
