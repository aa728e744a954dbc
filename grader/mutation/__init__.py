"""Mutants of a reference answer: what its checks must kill."""

from grader.mutation.forgotten_return import without_return
from grader.mutation.mutants import Mutant, diff, mutants

__all__ = ["Mutant", "diff", "mutants", "without_return"]
