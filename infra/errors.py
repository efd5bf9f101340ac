"""Everything that goes wrong in this package, as one tree.

InfraError
├── SettingsError       the machine or the environment is not fit to work with
├── ProcessError        a program failed, was not found or took too long
├── ProviderError       machines or networks could not be had as asked
└── InventoryError      an inventory cannot be built, or was changed by hand
"""

from __future__ import annotations


class InfraError(Exception):
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


class SettingsError(InfraError):
    """A directory, key or setting of the operator's machine is missing or unsafe."""


class ProcessError(InfraError):
    """A program failed; `returncode` is None when it was not found or took too long."""

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        remedy: str = "",
        returncode: int | None = None,
        output: str = "",
    ) -> None:
        """Keep the whole output, of which the message shows only the end."""
        super().__init__(what, where=where, remedy=remedy)
        self.returncode = returncode
        self.output = output


class ProviderError(InfraError):
    """The provider cannot give what was asked for."""


class InventoryError(InfraError):
    """Stack outputs do not match the site, or an inventory file is not as generated."""
