"""Tools of the embedded world: prompt writer, pre-training of base and judges, simulation study (oracle)."""
