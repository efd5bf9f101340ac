"""What make calls: `python -m flows deploy|join|verify|retire|down|env ...`.

Prefect is imported after the environment says how it shall run, and only where a flow runs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from rich.console import Console

from flows import report
from flows.errors import FlowError
from flows.progress import board
from flows.settings import Server, prefect_environment
from flows.steps import access, teardown
from flows.steps.sites import federation
from infra import settings
from infra.errors import InfraError
from infra.settings import Settings
from tosca.errors import ToscaError

_INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Return 0, 1 after an error or a failed check; an interruption ends with 130."""
    arguments = _parser().parse_args(argv)
    commands: dict[str, Callable[[argparse.Namespace, Settings], int]] = {
        "deploy": _deploy,
        "join": _join,
        "verify": _verify,
        "retire": _retire,
        "down": _down,
        "env": _env,
    }
    here = settings.load()
    try:
        return commands[arguments.command](arguments, here)
    except (FlowError, InfraError, ToscaError) as error:
        sys.stderr.write(f"\nerror: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flows", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("deploy").add_argument("sites", nargs="*")
    join = commands.add_parser("join")
    join.add_argument("site")
    commands.add_parser("verify").add_argument("only", nargs="*")
    retire = commands.add_parser("retire")
    retire.add_argument("site")
    retire.add_argument("--keep-machines", action="store_true")
    commands.add_parser("down")
    commands.add_parser("env").add_argument("site", nargs="?")
    return parser


def _deploy(arguments: argparse.Namespace, here: Settings) -> int:
    _with_prefect(here)
    from flows.deploy_federation import deploy_federation  # noqa: PLC0415 - see the module's text

    done = deploy_federation(arguments.sites or None)
    report.show(done.sites, done.work, here, Console())
    board().say(f"{done.changed} changed, {done.seconds:.0f} s")
    facts = {
        "sites": list(done.sites),
        "seconds": round(done.seconds, 1),
        "changed": done.changed,
        "work": [one.facts() for one in done.work],
        "steps": report.phases(board().done),
    }
    report.write_result("deploy", facts, here)
    return 0


def _join(arguments: argparse.Namespace, here: Settings) -> int:
    source = teardown.JOINS / arguments.site / "site.yaml"
    target = here.inventories / arguments.site / "site.yaml"
    if source.is_file() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    _with_prefect(here)
    from flows.join_site import join_site  # noqa: PLC0415 - see the module's text

    done = join_site(arguments.site)
    facts = done.facts()
    for problem in [*done.counts.failures, *done.restarts]:
        board().say(f"  {problem}")
    file = report.write_result("join", {**facts, "steps": report.phases(board().done)}, here)
    report.draw_map(here)
    keys = ("seconds", "inputs", "probes", "failed_probes", "submissions", "failed_submissions")
    told = ", ".join(f"{key} {facts[key]}" for key in (*keys, "leader_changes", "restarts"))
    board().say(f"{arguments.site} has joined: {told}; {file}")
    return 0


def _verify(arguments: argparse.Namespace, here: Settings) -> int:
    _with_prefect(here)
    from flows.verify_federation import verify_federation  # noqa: PLC0415 - see the module's text

    return 0 if all(one.passed for one in verify_federation(arguments.only or None)) else 1


def _retire(arguments: argparse.Namespace, here: Settings) -> int:
    _with_prefect(here)
    from flows.retire_site import retire_site  # noqa: PLC0415 - see the module's text

    done = retire_site(arguments.site, arguments.keep_machines)
    board().say(f"{done.site} has left, {done.seconds:.0f} s")
    return 0


def _down(_arguments: argparse.Namespace, here: Settings) -> int:
    teardown.remove_federation(federation(here), here, board().say)
    board().say(f"nothing is left, {board().seconds:.0f} s")
    return 0


def _env(arguments: argparse.Namespace, here: Settings) -> int:
    settings.prepare(here)
    text = settings.shell_exports(here, settings.tool(here, "pulumi").parent)
    if arguments.site:
        text += access.shell_exports(access.fetch(arguments.site, here), here)
    sys.stdout.write(text)
    return 0


def _with_prefect(here: Settings) -> None:
    """Have a Prefect API to work with; raises StepError."""
    settings.prepare(here)
    signal.signal(signal.SIGINT, _interrupted)
    signal.signal(signal.SIGTERM, _interrupted)
    url = os.environ.get("PREFECT_API_URL")
    server = None if url else Server(here)
    if server is not None:
        server.start()
        url = server.url
    os.environ.update(prefect_environment(here, os.environ, str(url)))
    # Takes as long as the server's start, so it goes on meanwhile.
    import prefect.flows  # noqa: F401, PLC0415

    if server is not None:
        server.await_ready()


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    """End at once: the kernel tells the programs under way, and every step may be repeated."""
    with suppress(OSError):
        board().console.show_cursor()
        sys.stderr.write("\ninterrupted; the same command goes on where it stopped\n")
    os._exit(_INTERRUPTED)
