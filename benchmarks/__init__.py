"""Speed and precision against named peers, measured side by side: `python -m benchmarks NAME`."""
