"""Runs a systemd unit with the configuration that is on disk, restarting only when it must."""

from __future__ import annotations

import hashlib
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: service_unit
short_description: A unit that runs with what is on disk, behind a health gate
description:
  - A digest over the files the unit was last started with is kept in a stamp. A unit whose files
    differ from its stamp, or were written after it, is restarted (C(restart_on)) or reloaded
    (C(reload_on)), so a run that was killed between writing a file and restarting is made good by
    the next one, and so is a unit that somebody started with an edited file.
  - After a start, restart or reload the C(health) command must succeed within C(timeout_s), only
    then is the stamp written. With C(throttle=1) a set of servers is restarted one by one.
options:
  name: {description: "Unit, without .service", type: str, required: true}
  restart_on: {description: "Files whose change asks for a restart", type: list, elements: path,
    default: []}
  reload_on: {description: "Files whose change asks for a reload", type: list, elements: path,
    default: []}
  health: {description: "Command that succeeds when the service is healthy", type: list,
    elements: str, default: ["true"]}
  first_health: {description: "Replaces health when the unit was never started from here: members of
    a new cluster cannot be healthy before all are there", type: list, elements: str}
  timeout_s: {description: "How long health is waited for, in seconds", type: int, default: 90}
  state: {description: "stopped also disables it", type: str, default: running,
    choices: [running, stopped]}
author: [Skerry]
"""

RETURN = r"""
action: {description: none, started, restarted, reloaded or stopped, type: str, returned: always}
"""

STAMPS = Path("/var/lib/skerry/units")


def run(*argv: str, timeout: int = 120) -> subprocess.CompletedProcess[str]:
    """Run a command that may fail."""
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=timeout)


def digest(paths: list[str]) -> str:
    """SHA-256 over names and contents; a missing file counts as such."""
    total = hashlib.sha256()
    for name in sorted(paths):
        path = Path(name)
        total.update(name.encode() + b"\0")
        if not path.is_file():
            total.update(b"missing")
            continue
        with path.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def written_after(stamp: Path, paths: list[str]) -> bool:
    """Say whether a file was written since the stamp, be it back to what it was."""
    then = stamp.stat().st_mtime_ns
    return any(path.is_file() and path.stat().st_mtime_ns > then for path in map(Path, paths))


def needed(name: str, stamp: Path, restart_on: list[str], reload_on: list[str]) -> str:
    """Decide what brings the running unit in line with the files: the action's name."""
    if run("systemctl", "is-active", "--quiet", name).returncode != 0:
        return "started"
    was = stamp.read_text().split() if stamp.is_file() else []
    if (
        len(was) != len(("restart", "reload"))
        or was[0] != digest(restart_on)
        or written_after(stamp, restart_on)
    ):
        return "restarted"
    return "reloaded" if was[1] != digest(reload_on) or written_after(stamp, reload_on) else "none"


def wait_healthy(command: list[str], timeout_s: int) -> str | None:
    """Wait for the health command; a problem in words, or None."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            outcome = run(*command, timeout=20)
            if outcome.returncode == 0:
                return None
            said = (outcome.stderr or outcome.stdout).strip()[-400:]
        except subprocess.TimeoutExpired:
            said = "the health command did not answer within 20 s"
        if time.monotonic() > deadline:
            return said
        time.sleep(0.5)


def apply(module: AnsibleModule, stamp: Path, action: str) -> None:
    """Carry the action out and hold until the service is healthy; fails the module otherwise."""
    name = module.params["name"]
    verb = {"started": "start", "restarted": "restart", "reloaded": "reload"}[action]
    run("systemctl", "daemon-reload")
    run("systemctl", "reset-failed", f"{name}.service")
    enabled = run("systemctl", "enable", name)
    outcome = run("systemctl", verb, name)
    problem = (outcome.stderr.strip() or enabled.stderr.strip()) if outcome.returncode else None
    if problem is None:
        first = module.params["first_health"] if not stamp.is_file() else None
        problem = wait_healthy(first or module.params["health"], module.params["timeout_s"])
    if problem is not None:
        log = run("journalctl", "-u", name, "-n", "12", "--no-pager", "-o", "cat").stdout
        module.fail_json(
            msg=f"{name} was {action} and is not healthy after {module.params['timeout_s']} s: "
            f"{problem}\nits last words:\n{log.strip()}\nlook at: journalctl -u {name}"
        )


def stop(module: AnsibleModule, stamp: Path) -> None:
    """Stop and disable the unit, if it is there."""
    name = module.params["name"]
    active = run("systemctl", "is-active", "--quiet", name).returncode == 0
    enabled = run("systemctl", "is-enabled", "--quiet", name).returncode == 0
    if (active or enabled) and not module.check_mode:
        outcome = run("systemctl", "disable", "--now", name)
        if outcome.returncode != 0:
            module.fail_json(msg=f"{name} could not be stopped: {outcome.stderr.strip()}")
        stamp.unlink(missing_ok=True)
    changed = active or enabled
    module.exit_json(changed=changed, action="stopped" if changed else "none")


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "restart_on": {"type": "list", "elements": "path", "default": []},
            "reload_on": {"type": "list", "elements": "path", "default": []},
            "health": {"type": "list", "elements": "str", "default": ["true"]},
            "first_health": {"type": "list", "elements": "str"},
            "timeout_s": {"type": "int", "default": 90},
            "state": {"type": "str", "default": "running", "choices": ["running", "stopped"]},
        },
        supports_check_mode=True,
    )
    stamp = STAMPS / module.params["name"]
    if module.params["state"] == "stopped":
        stop(module, stamp)
    restart_on, reload_on = module.params["restart_on"], module.params["reload_on"]
    action = needed(module.params["name"], stamp, restart_on, reload_on)
    if action != "none" and not module.check_mode:
        # Taken before: a file that changes meanwhile is for the next run to act on.
        started_with = f"{digest(restart_on)} {digest(reload_on)}\n"
        apply(module, stamp, action)
        STAMPS.mkdir(parents=True, exist_ok=True)
        stamp.write_text(started_with)
    module.exit_json(changed=action != "none", action=action)


if __name__ == "__main__":
    main()
