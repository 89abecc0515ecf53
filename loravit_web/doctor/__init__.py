"""What is installed, where data lies, what is wrong, and how to mend it."""

from loravit_web.doctor.examination import CHECKS, examine
from loravit_web.doctor.report import Check, Finding, Patient, Report

__all__ = ["CHECKS", "Check", "Finding", "Patient", "Report", "examine"]
