"""Where the stages leave what the next ones read: the folders of dvc.yaml, relative to the project."""

from pathlib import Path

DATASET = Path("data/dataset")
ENCODED = Path("data/encoded.safetensors")
ADAPTERS = Path("models/lora")
CURVES = Path("metrics/train")
SAMPLES = Path("data/samples")
EVIDENCE = Path("data/evidence")
EXTERNAL = Path("data/external")  # pictures of models that are drawn elsewhere
WORK = Path(".work")  # what a stage keeps for its own next run; never an output
