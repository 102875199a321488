"""Figures as ratios against the bare thing, measured in one run: `python -m benchmarks.run`."""
