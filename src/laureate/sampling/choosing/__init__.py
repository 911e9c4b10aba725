"""Choose a rank's learning rate, step and strength: a race of candidates, judged by the whole panel."""
