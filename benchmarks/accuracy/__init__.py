"""The accuracy report: ``python -m benchmarks.accuracy`` writes ``docs/accuracy.md``."""
