"""From every model's scores to one table: paired tests, the recommended rank, published results."""
