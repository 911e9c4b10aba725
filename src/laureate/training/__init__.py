"""Training a stack of LoRA adapters: objective, optimiser step, run, cached results and checkpoints."""
