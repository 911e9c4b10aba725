"""One module per verb: `run(params, **arguments)` does the I/O and the progress bar; what it calls takes values."""
