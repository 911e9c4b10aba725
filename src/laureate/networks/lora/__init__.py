"""LoRA adapters: stacks of them on a frozen network, their arithmetic, their files."""
