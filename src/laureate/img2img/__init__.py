"""Image to image: a photo of a person redrawn as a portrait by the study's models."""
