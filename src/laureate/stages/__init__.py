"""One module per verb: `run(params, **arguments)` reads, writes and shows progress; under it values pass."""
