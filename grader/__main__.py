"""Lets `python -m grader` do what the `grader` command does."""

from grader.cli import main

main()
