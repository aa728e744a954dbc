"""Grades answers in a sandbox, by checks that run outside of it; CONTRIBUTING says what is trusted and why."""
