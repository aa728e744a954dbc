"""The environment in which lesson code runs, wherever it runs."""

from __future__ import annotations

# Two threads on two busy cores ran 6 to 30 times slower than one.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
