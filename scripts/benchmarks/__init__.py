"""What `scripts/bench` measures: one module for each benchmark, which gives rows of figures."""
