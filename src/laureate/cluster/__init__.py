"""A study on many machines: tasks from DVC's stage graph, run by Ray, exchanged through the DVC remote."""
