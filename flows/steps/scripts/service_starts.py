"""Runs as root on any machine: when each of our services was last started."""  # noqa: INP001

import json
import subprocess
import sys

UNITS = ("vault", "consul", "nomad", "traefik", "docker")
PROPERTIES = "LoadState,ActiveState,ActiveEnterTimestampMonotonic"
starts = {}
for unit in UNITS:
    shown = subprocess.run(
        ["systemctl", "show", unit, f"--property={PROPERTIES}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    facts = dict(line.split("=", 1) for line in shown.splitlines())
    if facts["LoadState"] == "loaded" and facts["ActiveState"] == "active":
        starts[unit] = facts["ActiveEnterTimestampMonotonic"]
sys.stdout.write(json.dumps(starts))
