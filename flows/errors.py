"""Everything that goes wrong in this package, as one tree.

FlowError
├── StackError          Pulumi could not do what was asked of a stack
│   └── StackLockedError    another run holds the stack
└── StepError           any other step failed
    └── HostUnreachableError    nothing but the way to a machine is broken; worth another try
"""

from __future__ import annotations


class FlowError(Exception):
    """Says what went wrong, where, and what a person can do about it."""

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        """Keep the three parts apart so that a caller can lay them out as it likes."""
        self.what = what
        self.where = where
        self.remedy = remedy
        lines = [what]
        if where:
            lines.append(f"  where:  {where}")
        if remedy:
            lines.append(f"  remedy: {remedy}")
        super().__init__("\n".join(lines))


class StackError(FlowError):
    """Pulumi failed on a stack; the message ends with what it said last."""


class StackLockedError(StackError):
    """Another run holds the stack and is still alive, or may be."""


class StepError(FlowError):
    """A step that is not Pulumi's failed."""


class HostUnreachableError(StepError):
    """A machine does not answer to SSH, or shows another host key than expected."""
