"""Paths of the files that stages exchange, relative to the project folder."""

from pathlib import Path

DATASET = Path("data/dataset")
ENCODED = Path("data/encoded.safetensors")
ADAPTERS = Path("models/lora")
CURVES = Path("metrics/train")
SAMPLES = Path("data/samples")
EVIDENCE = Path("data/evidence")
EXTERNAL = Path("data/external")  # pictures of external models
COMPARISON = Path("metrics/comparison.csv")
ADVICE = Path("metrics/adviser.json")
WORK = Path(".work")  # what a stage keeps for its own next run; never an output

# the files in one adapter's folder
ADAPTER_WEIGHTS = "pytorch_lora_weights.safetensors"  # the name that diffusers expects
ADAPTER_CONFIG = "config.json"


def adapter_folder(rank: int) -> Path:
    """The folder of one adapter: models/lora/rank-N."""
    return ADAPTERS / f"rank-{rank}"


def curve_file(rank: int) -> Path:
    """The losses of one training: metrics/train/rank-N.csv."""
    return CURVES / f"rank-{rank}.csv"
