"""Builds, proves and grades a course of Jupyter notebooks; each chapter is one hand-written lesson source."""
