"""The oracle: the embedded world can draw any number of pictures, so it knows what a small study should say.

`laureate oracle` draws many prompts from every model and many portraits from the museum, scores them, and
then draws small studies from them again and again: does an interval hold what the many pictures say, and does
the adviser name a rank that is truly best or tied with the best? The answers go into metrics/oracle.json and
docs/oracle.md. It stands beside the DAG: nothing of the study depends on it.
"""
