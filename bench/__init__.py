"""Side-by-side benchmarks: ``python -m bench``, ``python -m bench --quick``."""
