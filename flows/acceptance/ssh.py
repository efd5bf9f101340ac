"""Runs functions of `flows.acceptance.remote` on machines, over SSH connections that are kept."""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from flows.acceptance.federation import Host
from flows.errors import StepError
from infra import process
from infra.errors import ProcessError

P = ParamSpec("P")
T = TypeVar("T")

_CONNECT_S = 10
# In the order in which they import each other.
_MODULES = ("engines", "jobs", "wire", "machine", "newcomer", "identity", "faults", "rotation",
            "drift", "joined")  # fmt: skip
_PACKAGE = "flows.acceptance.remote"
_SSH_FAILED = 255

# Sources, call and arguments come in over stdin: nothing of them shows in a process list. When its
# time is up the function is interrupted by an exception, so that it still cleans up.
_BOOTSTRAP = """
import json, signal, sys, types
def late(*_):
    raise TimeoutError("the function did not finish in time")
asked = json.load(sys.stdin)
for name in asked["packages"]:
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = []
for name, source in asked["modules"]:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
sys.modules[asked["engines"]].facts.update(asked["facts"])
signal.signal(signal.SIGALRM, late)
signal.alarm(asked["seconds"])
try:
    function = getattr(sys.modules[asked["module"]], asked["function"])
    answer = {"value": function(*asked["args"], **asked["kwargs"])}
except Exception as error:
    answer = {"error": f"{type(error).__name__}: {error}"}
signal.alarm(0)
print(json.dumps(answer))
"""


class RemoteError(StepError):
    """A machine could not be reached, or a function failed on it."""


class Connections:
    """SSH connections to machines, one per machine, closed at the end of the `with` block."""

    def __init__(self) -> None:
        """Nothing is connected yet."""
        self._folder = tempfile.TemporaryDirectory(prefix="skerry-ssh-")
        self._used: set[Host] = set()
        self._modules = [
            (f"{_PACKAGE}.{name}", (Path(__file__).parent / "remote" / f"{name}.py").read_text())
            for name in _MODULES
        ]

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what was opened."""
        for host in self._used:
            process.run([*self.argv(host), "-O", "exit"], timeout=_CONNECT_S, check=False)
        self._folder.cleanup()

    def argv(self, host: Host) -> list[str]:
        """The ssh command that reaches a machine, without what to run there."""
        return [
            "ssh",
            *("-i", str(host.key_file), "-p", str(host.port)),
            *("-o", f"UserKnownHostsFile={shlex.quote(str(host.known_hosts))}"),
            *("-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"),
            *("-o", f"ConnectTimeout={_CONNECT_S}", "-o", "ServerAliveInterval=5"),
            *("-o", "ControlMaster=auto", "-o", "ControlPersist=60"),
            *("-o", f"ControlPath={self._folder.name}/%C"),
            f"{host.user}@{host.address}",
        ]

    def ask(
        self,
        host: Host,
        timeout_s: float,
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a function of the remote package as root on a machine; raises RemoteError."""
        asked = {
            "packages": ["flows", "flows.acceptance", _PACKAGE],
            "modules": self._modules,
            "engines": f"{_PACKAGE}.engines",
            "facts": host.facts,
            "seconds": max(1, round(timeout_s)),
            "module": function.__module__,
            "function": function.__name__,
            "args": args,
            "kwargs": kwargs,
        }
        self._used.add(host)
        try:
            done = process.run(
                [*self.argv(host), f"sudo python3 -c {shlex.quote(_BOOTSTRAP)}"],
                input=json.dumps(asked),
                # The function gives up first and says why.
                timeout=timeout_s + 2 * _CONNECT_S,
                check=False,
            )
        except ProcessError as error:
            raise RemoteError(error.what, where=host.name, remedy=error.remedy) from error
        return cast(T, self._value(host, function.__name__, done))

    def _value(self, host: Host, function: str, done: process.Completed) -> Any:
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            said = (done.stderr.strip() or done.stdout.strip())[-500:]
            unreachable = done.returncode == _SSH_FAILED
            raise RemoteError(
                f"{host.name} cannot be reached: {said}"
                if unreachable
                else f"{function} broke on {host.name}: {said}",
                where=f"ssh {host.user}@{host.address} -p {host.port}",
                remedy="see that the machine runs and lets this operator's key in",
            ) from None
        if "error" in answer:
            raise RemoteError(f"{host.name}: {answer['error']}", where=function)
        return answer["value"]
