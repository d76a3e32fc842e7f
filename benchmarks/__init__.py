"""What the library costs, measured beside a floor in the same run: `python -m benchmarks --help`."""
