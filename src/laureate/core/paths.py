"""Where stages write what later stages read: the outputs of dvc.yaml, relative to the project folder."""

from pathlib import Path

DATASET = Path("data/dataset")
ENCODED = Path("data/encoded.safetensors")
ADAPTERS = Path("models/lora")
CURVES = Path("metrics/train")
SAMPLES = Path("data/samples")
EVIDENCE = Path("data/evidence")
EXTERNAL = Path("data/external")  # pictures of models that are drawn elsewhere
COMPARISON = Path("metrics/comparison.csv")
ADVICE = Path("metrics/adviser.json")
SELECTED = Path("metrics/selected.json")
WORK = Path(".work")  # what a stage keeps for its own next run; never an output

# the files of one adapter's folder, and its row of losses
ADAPTER_WEIGHTS = "pytorch_lora_weights.safetensors"  # the name that diffusers looks for
ADAPTER_CONFIG = "config.json"


def adapter_folder(rank: int) -> Path:
    """models/lora/rank-N."""
    return ADAPTERS / f"rank-{rank}"


def curve_file(rank: int) -> Path:
    """metrics/train/rank-N.csv."""
    return CURVES / f"rank-{rank}.csv"
