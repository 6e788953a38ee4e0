"""Side-by-side measurements: ours, its limits and its peers, in one run (docs/performance.md)."""
