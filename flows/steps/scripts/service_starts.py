# Runs as root on any machine: when each of our services was last started.
import json
import subprocess

UNITS = ("vault", "consul", "nomad", "traefik", "docker")
starts = {}
for unit in UNITS:
    shown = subprocess.run(
        ["systemctl", "show", unit, "--property=LoadState,ActiveState,ActiveEnterTimestampMonotonic"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    facts = dict(line.split("=", 1) for line in shown.splitlines())
    if facts["LoadState"] == "loaded" and facts["ActiveState"] == "active":
        starts[unit] = facts["ActiveEnterTimestampMonotonic"]
print(json.dumps(starts))
