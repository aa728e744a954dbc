"""Benchmarks: scripts that print a table, run by `make bench`; no test depends on a time."""
