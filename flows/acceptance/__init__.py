"""Acceptance checks: what a federation must do, looked at from outside.

`CHECKS` is the table; `run` goes through it against any federation, from inventories alone.
"""

from flows.acceptance.model import Check, CheckFailed, CheckResult
from flows.acceptance.runner import run, select, write_report
from flows.acceptance.table import CHECKS

__all__ = ["CHECKS", "Check", "CheckFailed", "CheckResult", "run", "select", "write_report"]
