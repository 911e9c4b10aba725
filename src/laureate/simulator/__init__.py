"""The simulated world: portraits of invented people, and the museum that serves them."""
