"""Whole trainings by the shell."""
