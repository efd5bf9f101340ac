"""From site.yaml and a TOSCA template to a typed Site; knows no engine and runs nothing."""

from tosca.compile import compile_site, load_federation, load_sites
from tosca.errors import Location, Problem, Severity, ToscaError

__all__ = [
    "Location",
    "Problem",
    "Severity",
    "ToscaError",
    "compile_site",
    "load_federation",
    "load_sites",
]
