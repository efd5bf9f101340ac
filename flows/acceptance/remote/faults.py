"""Breaks engines for a moment. Each break is undone by the machine itself, should nobody else."""

from __future__ import annotations

import http
import time
from pathlib import Path
from typing import Any, TypedDict

from flows.acceptance.remote import engines, jobs
from flows.acceptance.remote.engines import consul, facts, must, nomad, vault, wait_for
from flows.acceptance.remote.machine import run

UNDO = "skerry-check-undo"
_RUNTIME = Path("/run/systemd/system")


def undo_later(unit: str, seconds: int, command: str) -> None:
    """Have systemd run a command after a while, whatever becomes of the caller."""
    run(["systemctl", "stop", f"{UNDO}-{unit}.timer"])
    started = run(["systemd-run", "--collect", f"--unit={UNDO}-{unit}", f"--on-active={seconds}",
                   "--timer-property=AccuracySec=1s", "/bin/sh", "-c", command])  # fmt: skip
    if started["rc"]:
        raise RuntimeError(f"the undoing of {unit} could not be arranged: {started['err'].strip()}")


def undone(unit: str) -> None:
    """Call off `undo_later`."""
    run(["systemctl", "stop", f"{UNDO}-{unit}.timer"])


def kill(unit: str) -> None:
    """Kill -9 a service's main process; systemd starts it again as it always does."""
    done = run(["systemctl", "kill", "--kill-who=main", "--signal=KILL", unit])
    if done["rc"]:
        raise RuntimeError(done["err"].strip())


def hold_down(unit: str, seconds: int) -> None:
    """Kill -9 a service and keep it down until `release`, or for `seconds` at most."""
    folder = _RUNTIME / f"{unit}.service.d"
    folder.mkdir(parents=True, exist_ok=True)
    drop_in = folder / "skerry-check.conf"
    undo = f"rm -f {drop_in}; systemctl daemon-reload; systemctl start {unit}"
    undo_later(unit, seconds, undo)
    drop_in.write_text("[Service]\nRestart=no\n")
    run(["systemctl", "daemon-reload"])
    kill(unit)


def release(unit: str) -> str:
    """End `hold_down`; the unit's state."""
    (_RUNTIME / f"{unit}.service.d" / "skerry-check.conf").unlink(missing_ok=True)
    run(["systemctl", "daemon-reload"])
    run(["systemctl", "reset-failed", unit])
    run(["systemctl", "start", unit])
    undone(unit)
    return str(run(["systemctl", "is-active", unit])["out"].strip())


def freeze(units: list[str], seconds: int) -> None:
    """Stop services in mid-air: they answer nothing and say no good-bye, for `seconds` at most."""
    for unit in units:
        undo_later(unit, seconds, f"systemctl kill --kill-who=main --signal=CONT {unit}")
        run(["systemctl", "kill", "--kill-who=main", "--signal=STOP", unit])


def thaw(units: list[str]) -> None:
    """End `freeze`."""
    for unit in units:
        run(["systemctl", "kill", "--kill-who=main", "--signal=CONT", unit])
        undone(unit)


def work_there() -> dict[str, int]:
    """Restarts per running allocation of this region, those of checks left out."""
    found = must(nomad("GET", "/v1/allocations?namespace=*&task_states=true"), "allocations")
    return {
        one["ID"]: sum(state["Restarts"] for state in (one["TaskStates"] or {}).values())
        for one in found
        if one["ClientStatus"] == "running" and not one["JobID"].startswith("check-")
    }


def began(mark: str, timeout_s: float) -> bool:
    """Wait until a function that was given the same mark has all it needs and is waiting."""
    file = _marked(mark)
    there = wait_for(file.exists, timeout_s, pause_s=0.1)
    file.unlink(missing_ok=True)
    return bool(there)


def _marked(mark: str) -> Path:
    return Path("/run") / f"skerry-{mark}"


class Recovery(TypedDict):
    """Seconds from the mark on; -1 for what did not happen."""

    leader_s: float
    submit_s: float
    said: str


def _led() -> tuple[int, str]:
    """Raft's term and leader as the server that is asked sees them; (0, "") when it does not."""
    reply = nomad("GET", "/v1/agent/self")
    leader = str(nomad("GET", "/v1/status/leader", who="none")["body"] or "")
    if reply["status"] != http.HTTPStatus.OK or ":" not in leader:
        return 0, ""
    return int(reply["body"]["stats"]["raft"]["term"]), leader


def recovery(mark: str, survivors: list[str], community: str, timeout_s: float) -> Recovery:
    """Wait for a leader of a later term, then for a job to be taken, asking `survivors`."""
    engines.nomad_token(community)
    facts["nomad_address"] = survivors[0]
    before, _ = _led()
    state = {"leader": "", "said": ""}
    _marked(mark).touch()
    started = time.monotonic()

    def led() -> bool:
        for address in survivors:
            facts["nomad_address"] = address
            term, state["leader"] = _led()
            if term > before:
                return True
        return False

    if not wait_for(led, timeout_s, pause_s=0.1):
        return {"leader_s": -1.0, "submit_s": -1.0, "said": f"no leader after term {before}"}
    leader_s = time.monotonic() - started
    job_id = jobs.name("leader")

    def taken() -> bool:
        content = jobs.job(job_id, community, [jobs.group("task")])
        reply = jobs.submit(content, who=community)
        state["said"] = str(reply["body"])[:200]
        return reply["status"] == http.HTTPStatus.OK

    try:
        took = wait_for(taken, timeout_s)
        submit_s = time.monotonic() - started if took else -1.0
    finally:
        wait_for(lambda: jobs.stop(job_id, community), timeout_s)
    return {
        "leader_s": leader_s,
        "submit_s": submit_s,
        "said": f"{state['leader']} {state['said']}",
    }


def alone(mark: str, community: str, domain: str, timeout_s: float) -> dict[str, Any]:
    """Do everything a site does, once the control site has fallen silent.

    Gives for each thing whether it worked: `vault_silent`, job, tokens, policy.
    """
    for who in ("management", community):
        engines.nomad_token(who)
    for who in ("management", "agent"):
        engines._cache[f"consul/{who}"] = engines.consul_token(who)  # noqa: SLF001 - same program
    _marked(mark).touch()
    silent = wait_for(_silent, timeout_s)
    told: dict[str, Any] = {"vault_silent": bool(silent)}
    if not silent:
        return told
    started = jobs.start_web("alone", community, domain, timeout_s)
    told["job"] = started["status"]
    jobs.stop(started["job"], community)
    for who in ("management", "agent"):
        token = engines._cache[f"consul/{who}"]  # noqa: SLF001
        told[f"consul {who} token"] = consul("GET", "/v1/acl/token/self", who=token)["status"]
    # A namespace would not do: deleting one asks all regions, which do not know this one's token.
    path = f"/v1/acl/policy/{jobs.name('policy')}"
    rules = {"Name": path.rpartition("/")[2], "Rules": 'node { policy = "read" }'}
    told["policy"] = nomad("POST", path, rules)["status"]
    told["policy removed"] = nomad("DELETE", path)["status"]
    told["still_silent"] = _silent()
    return told


def _silent() -> bool:
    facts["vault_timeout_s"] = "2"
    return vault("GET", "/v1/sys/health", who="none")["status"] == engines.NOT_REACHED
