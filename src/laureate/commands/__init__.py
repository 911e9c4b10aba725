"""The verbs beside the DAG, one module each."""
