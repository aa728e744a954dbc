"""Mutants of a reference answer: what its checks must kill."""

from grader.mutation.mutants import Mutant, diff, mutants

__all__ = ["Mutant", "diff", "mutants"]
