"""Which LoRA rank learns a style best, and how sure are we?"""

__version__ = "0.1.0"
