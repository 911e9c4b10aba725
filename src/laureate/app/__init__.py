"""The page of `laureate app`: the study's models, portraits, posters and results in a browser."""
