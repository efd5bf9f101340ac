"""How Prefect runs here: with a server of its own for one run, unless PREFECT_API_URL names one."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flows.errors import StepError
from infra import process
from infra.errors import ProcessError
from infra.settings import Settings

START_S = 120.0
_RUN_S = 24 * 3600.0
_PAUSE_S = 0.1
_OK = 200


def prefect_environment(settings: Settings, base: Mapping[str, str], url: str) -> dict[str, str]:
    """What Prefect reads from the environment; what the operator set stays."""
    return {
        "PREFECT_API_URL": url,
        "PREFECT_HOME": str(settings.state / "prefect"),
        # Errors reach people once, in our own words.
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        **{key: value for key, value in base.items() if key.startswith(("PREFECT_", "DO_NOT_"))},
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """Prefect's API for the time of one run, on a port of its own and reachable from here only.

    It ends when this process does, however that happens.
    """

    settings: Settings
    port: int = field(default_factory=_free_port)
    _failure: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """What PREFECT_API_URL must be."""
        return f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        """Start it and return at once."""
        home = self.settings.state / "prefect"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        threading.Thread(target=self._run, daemon=True).start()

    def await_ready(self) -> None:
        """Return when it answers; raises StepError."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and not self._failure:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:  # noqa: S310 - our own http address
                    if answer.status == _OK:
                        return
            except OSError:
                time.sleep(_PAUSE_S)
        raise StepError(
            "Prefect's server did not start: " + "".join(self._failure or ["no answer"]),
            where=self.url,
            remedy=f"remove {self.settings.state / 'prefect'} and try again, or name a server in "
            "PREFECT_API_URL",
        )

    def _run(self) -> None:
        program = str(Path(sys.executable).parent / "prefect")
        env = {**os.environ, **prefect_environment(self.settings, os.environ, self.url)}
        where = ["--host", "127.0.0.1", "--port", str(self.port)]
        try:
            done = process.run(
                [program, "server", "start", "--no-services", "--no-ui", *where],
                env=env,
                timeout=_RUN_S,
                check=False,
            )
            self._failure.append("\n".join((done.stderr or done.stdout).splitlines()[-5:]))
        except ProcessError as error:
            self._failure.append(str(error))
