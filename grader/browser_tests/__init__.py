"""The course in a real browser; `make test-browser` runs these, after `make setup-browser`."""
