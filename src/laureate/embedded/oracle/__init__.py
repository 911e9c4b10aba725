"""Simulation study in the embedded world: coverage of intervals and correctness of the adviser.

The embedded world can draw any number of pictures, so the true scores are known. `laureate oracle` generates
pictures for many prompts with every model and draws many portraits, scores all of them, and then resamples
small studies from them: does an interval cover the true value, and does the adviser recommend a rank that is
truly best or tied with the best? The results go into metrics/oracle.json and docs/oracle.md. No stage of the
study depends on them.

    picture_pool       generated pictures and portraits, stored in parts
    pool_features      judge features of the pool
    resampled_studies  small studies drawn from the pool, and the true scores
    coverage           interval coverage and recommendations over many studies
    simulation_study   the command: input, output and progress
    report             docs/oracle.md

With --trainings every rank is trained many times, and the luck of a training is what is studied:

    retrained_pool     adapters of many trainings and pictures by each
    luck_of_training   its share of a score's variance
    retraining_study   the studies: input, output and progress
    retraining_report  its part of docs/ranks.md
    ranks_page         the parts of that page
"""
