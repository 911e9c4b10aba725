"""Which kernels and memory layout a network runs with on a given device."""
