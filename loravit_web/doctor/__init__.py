"""Checks of the installation and the data folder, and repairs."""

from loravit_web.doctor.examination import CHECKS, examine
from loravit_web.doctor.report import Check, Context, Finding, Report

__all__ = ["CHECKS", "Check", "Context", "Finding", "Report", "examine"]
