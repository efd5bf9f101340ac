"""Ansible playbooks on the sites' inventories.

The builders are pure. `play` runs one playbook, writes everything it prints to a log, and turns
what the events tell into a typed result or into one error with the playbook's own message.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from flows.errors import HostUnreachableError, StepError
from infra import process
from infra.errors import ProcessError
from infra.settings import CHECKOUT, Settings

TIMEOUT_S = 1200
PLAYBOOKS = CHECKOUT / "playbooks"
EVENT = "\x1e"
_COMMON = CHECKOUT / "inventories" / "common"
_CALLBACKS = Path(__file__).parent / "callbacks"
_AGAIN = "put right what it says and run the same command again: it goes on where it stopped"
_MOST_HOSTS_TOLD = 4


@dataclass(frozen=True)
class HostResult:
    """Numbers of tasks of one host, as in Ansible's recap."""

    ok: int = 0
    changed: int = 0
    failures: int = 0
    unreachable: int = 0
    skipped: int = 0
    rescued: int = 0
    ignored: int = 0


@dataclass(frozen=True)
class Failure:
    """What a host said when it failed."""

    host: str
    task: str
    message: str
    unreachable: bool = False


@dataclass(frozen=True)
class PlaybookResult:
    """A playbook that went through on every host; `seconds` is wall time."""

    playbook: str
    seconds: float
    hosts: Mapping[str, HostResult]

    @property
    def changed(self) -> int:
        """Tasks that changed something, over all hosts."""
        return sum(host.changed for host in self.hosts.values())


def argv(
    playbook: str,
    inventories: Sequence[Path],
    *,
    values: Mapping[str, object] | None = None,
) -> list[str]:
    """One playbook by its name without suffix, on one or more sites' inventory folders.

    `values` are visible to every user of the machine: paths and names, never secrets.
    """
    command = ["ansible-playbook", "-i", str(_COMMON)]
    for inventory in inventories:
        command += ["-i", str(inventory)]
    if values:
        command += ["-e", json.dumps(values, sort_keys=True)]
    return [*command, str(PLAYBOOKS / f"{playbook}.yml")]


def environment(settings: Settings, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a run: this interpreter first on PATH, our configuration, quiet output.

    The strategy is Mitogen's unless ANSIBLE_STRATEGY names another (`linear` gives the same result
    and takes several times as long).
    """
    env = dict(os.environ if base is None else base)
    here = str(Path(sys.executable).parent)
    plugins = [str(_CALLBACKS), env.get("ANSIBLE_CALLBACK_PLUGINS", "")]
    return {
        # Ansible refuses to work without UTF-8.
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_STRATEGY": "mitogen_linear",
        "ANSIBLE_STRATEGY_PLUGINS": str(_mitogen_strategies()),
        "ANSIBLE_HOME": str(settings.state / "ansible"),
        **env,
        "PATH": os.pathsep.join([here, env.get("PATH", "")]),
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_CALLBACK_PLUGINS": os.pathsep.join(plugin for plugin in plugins if plugin),
        "ANSIBLE_CALLBACKS_ENABLED": "skerry_events",
        "ANSIBLE_NOCOLOR": "1",
        "SKERRY_STATE": str(settings.state),
    }


def play(
    playbook: str,
    sites: Sequence[str],
    settings: Settings,
    *,
    values: Mapping[str, object] | None = None,
    tell: Callable[[str], None] | None = None,
    timeout: float = TIMEOUT_S,
) -> PlaybookResult:
    """Run a playbook on the inventories of `sites`; `tell` gets a line per play and task.

    Raises StepError, or HostUnreachableError when nothing but the way to a host is broken.
    """
    log = log_file(playbook, sites, settings)
    log.parent.mkdir(parents=True, exist_ok=True)
    for site in sites:
        _need_inventory(settings.inventories / site / "hosts.yml", site)
    command = argv(playbook, [settings.inventories / site for site in sites], values=values)
    with log.open("w", encoding="utf-8", buffering=1) as stream:
        watcher = Watcher(stream, tell)
        try:
            done = process.run(
                command,
                env=environment(settings),
                cwd=CHECKOUT,
                timeout=timeout,
                check=False,
                on_line=watcher.line,
            )
        except ProcessError as error:
            last = f"; it was at: {watcher.at}" if watcher.at else ""
            raise StepError(
                error.what.splitlines()[0] + last,
                where=_where(playbook, sites, log),
                remedy=error.remedy or _AGAIN,
            ) from error
    if done.returncode != 0:
        raise _failed(playbook, sites, log, watcher, done)
    return PlaybookResult(playbook, done.seconds, watcher.hosts)


def log_file(playbook: str, sites: Sequence[str], settings: Settings) -> Path:
    """Where everything that a run prints is kept; the next run of the same replaces it."""
    return settings.inventories.parent / "build" / "logs" / f"{'+'.join(sites)}-{playbook}.log"


@dataclass
class Watcher:
    """Takes a run's lines: events give the log its times, everything else goes there as it is."""

    log: TextIO
    tell: Callable[[str], None] | None = None
    plays: int = 0
    play: int = 0
    play_name: str = ""
    at: str = ""
    failures: list[Failure] = field(default_factory=list)
    hosts: dict[str, HostResult] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def line(self, line: str) -> None:
        """Take one line of either stream."""
        before, mark, event = line.partition(EVENT)
        if before or not mark:
            self.log.write(before + "\n")
        if mark:
            self._event(json.loads(event))

    def _event(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "start":
                self.plays = int(event["plays"])
            case "play":
                self.play += 1
                self.play_name = str(event["name"])
                self._now("")
            case "task":
                self._now(str(event["name"]))
            case "failed" | "unreachable" as kind:
                self.failures.append(
                    Failure(event["host"], event["task"], event["message"], kind == "unreachable")
                )
            case "stats":
                self.hosts = {
                    host: HostResult(**numbers) for host, numbers in event["hosts"].items()
                }

    def _now(self, task: str) -> None:
        self.at = f"{self.play_name}: {task}" if task else self.play_name
        self.log.write(f"# {time.monotonic() - self.started:.1f} s: {self.at}\n")
        if self.tell is not None:
            self.tell(f"{self.play}/{self.plays} {self.at}")

    def final_failures(self) -> list[Failure]:
        """The last failure of each host that ended badly; earlier ones were rescued."""
        last = {failure.host: failure for failure in self.failures}
        if not self.hosts:
            return list(last.values())
        bad = {host for host, result in self.hosts.items() if result.failures or result.unreachable}
        return [failure for host, failure in last.items() if host in bad]


def _mitogen_strategies() -> Path:
    spec = importlib.util.find_spec("ansible_mitogen")
    if spec is None or not spec.submodule_search_locations:
        raise StepError(
            "the package mitogen is not installed",
            where=sys.executable,
            remedy="run `make venv`",
        )
    return Path(spec.submodule_search_locations[0]) / "plugins" / "strategy"


def _need_inventory(file: Path, site: str) -> None:
    if not file.is_file():
        raise StepError(
            f"the site {site} has no inventory",
            where=str(file),
            remedy="stand its machines up first (`pulumi up`, then the inventory step)",
        )


def _where(playbook: str, sites: Sequence[str], log: Path) -> str:
    return f"playbooks/{playbook}.yml on {', '.join(sites)}; log: {log}"


def _failed(
    playbook: str, sites: Sequence[str], log: Path, watcher: Watcher, done: process.Completed
) -> StepError:
    failures = watcher.final_failures()
    where = _where(playbook, sites, log)
    if not failures:
        lines = [line for line in done.stderr.splitlines() if line.strip() and EVENT not in line]
        told = "\n    ".join(lines[-8:] or done.stdout.splitlines()[-8:])
        return StepError(
            f"{playbook} failed with exit code {done.returncode}:\n    {told}",
            where=where,
            remedy=_AGAIN,
        )
    if all(failure.unreachable for failure in failures):
        hosts = ", ".join(sorted(failure.host for failure in failures))
        return HostUnreachableError(
            f"cannot log in to {hosts}: {failures[0].message}",
            where=where,
            remedy="see that the machine runs and that its SSH host key is the one in the site's "
            "known_hosts; `pulumi up --refresh` for the site mends a machine that is gone",
        )
    causes: dict[tuple[str, str], list[str]] = {}
    for failure in failures:
        causes.setdefault((failure.task, failure.message), []).append(failure.host)
    told = "\n".join(
        f"{', '.join(sorted(hosts))}: {task}\n    " + message.replace("\n", "\n    ")
        for (task, message), hosts in list(causes.items())[:_MOST_HOSTS_TOLD]
    )
    return StepError(told, where=where, remedy=_AGAIN)
