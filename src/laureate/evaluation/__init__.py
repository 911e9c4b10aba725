"""From pictures to scores: feature extraction by judges, scores with intervals, sanity checks."""
