"""Values with units, versions and the order constraints compare by.

Simple Profile 1.3, section 3.3: a scalar-unit is a number, then a unit; unit spelling is accepted
in any case, as the specification's own examples use it.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Final

_KIB: Final = 1024
UNITS: Final[dict[str, dict[str, Fraction]]] = {
    "scalar-unit.size": {
        "B": Fraction(1),
        **{f"{p}B": Fraction(1000**n) for n, p in enumerate(("k", "M", "G", "T"), 1)},
        **{f"{p}iB": Fraction(_KIB**n) for n, p in enumerate(("K", "M", "G", "T"), 1)},
    },
    "scalar-unit.time": {
        "d": Fraction(86400),
        "h": Fraction(3600),
        "m": Fraction(60),
        "s": Fraction(1),
        "ms": Fraction(1, 10**3),
        "us": Fraction(1, 10**6),
        "ns": Fraction(1, 10**9),
    },
    "scalar-unit.frequency": {
        f"{p}Hz": Fraction(1000**n) for n, p in enumerate(("", "k", "M", "G"))
    },
    "scalar-unit.bitrate": {
        f"{p}bps": Fraction(1000**n) for n, p in enumerate(("", "K", "M", "G", "T"))
    },
}
"""Factor of each unit to the base unit of its kind: byte, second, hertz, bit per second."""

EXAMPLES: Final = {
    "scalar-unit.size": "4 GiB",
    "scalar-unit.time": "30 s",
    "scalar-unit.frequency": "2 GHz",
    "scalar-unit.bitrate": "10 Mbps",
}
_BY_LOWER_CASE = {
    kind: {unit.lower(): factor for unit, factor in units.items()} for kind, units in UNITS.items()
}
_QUANTITY = re.compile(r"\s*([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([A-Za-z]+)\s*$")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+(\.[0-9]+(\.[A-Za-z0-9_-]+(-[0-9]+)?)?)?)?$")


def quantity(kind: str, spelling: str) -> Fraction | None:
    """Read `4 GiB` into base units (bytes, seconds, hertz, bit/s); None when it is not one."""
    match = _QUANTITY.match(spelling)
    factor = _BY_LOWER_CASE[kind].get(match[2].lower()) if match else None
    return Fraction(match[1]) * factor if match and factor is not None else None


def expected_units(kind: str) -> str:
    """Say what a value of this kind looks like, for an error message."""
    units = " ".join(UNITS[kind])
    return f"a number and one of {units}"


def whole_mib(size: Fraction) -> int:
    """Bytes -> MiB, rounded up: a machine offers at least what was asked for."""
    return math.ceil(size / _KIB**2)


def whole_gib(size: Fraction) -> int:
    """Bytes -> GiB, rounded up."""
    return math.ceil(size / _KIB**3)


def is_version(spelling: str) -> bool:
    """Tell whether a text is a TOSCA version, `major[.minor[.fix[.qualifier[-build]]]]`."""
    return bool(_VERSION.match(spelling))
