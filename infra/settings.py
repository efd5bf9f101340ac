"""Where things lie on the operator's machine, and what a stack may be told.

The only reader of the environment's SKERRY_*, XDG_* and PULUMI_* variables and of `pulumi.Config`.
`python -m infra.settings` makes the state directory and prints what a shell needs (`make env`).
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra import process
from infra.errors import ProcessError, SettingsError
from infra.files import create_once, write_atomic

CHECKOUT = Path(__file__).resolve().parent.parent
SITE_PROGRAM = CHECKOUT / "infra" / "programs" / "site"
DEFAULT_START_TIMEOUT_S = 120


@dataclass(frozen=True)
class Settings:
    """Absolute paths and the address of the backend that keeps the stacks."""

    state: Path
    cache: Path
    inventories: Path
    backend_url: str

    @property
    def passphrase_file(self) -> Path:
        """Encrypts secrets in a stack's state; mode 0600."""
        return self.state / "pulumi-passphrase"

    @property
    def private_key(self) -> Path:
        """The operator's SSH key for machines that we make; mode 0600."""
        return self.state / "ssh" / "id_ed25519"

    @property
    def public_key(self) -> Path:
        """What a machine is given so that the operator may log in."""
        return self.state / "ssh" / "id_ed25519.pub"

    @property
    def tools_manifest(self) -> Path:
        """Which binary of which engine to use; written by `make tools`."""
        return self.cache / "tools" / "manifest.json"


@dataclass(frozen=True)
class StackSettings:
    """What one run of the site program is about; the stack's name is the site's."""

    site: str
    start_timeout_s: int


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment; nothing is created (see `prepare`)."""
    env = os.environ if environ is None else environ
    home = Path(env.get("HOME") or Path.home())
    cache = Path(env.get("XDG_CACHE_HOME") or home / ".cache") / "skerry"
    state = Path(
        env.get("SKERRY_STATE")
        or Path(env.get("XDG_STATE_HOME") or home / ".local" / "state") / "skerry",
    ).absolute()
    return Settings(
        state=state,
        cache=cache.absolute(),
        inventories=Path(env.get("SKERRY_INVENTORIES") or CHECKOUT / "inventories").absolute(),
        backend_url=env.get("PULUMI_BACKEND_URL") or f"file://{state / 'pulumi'}",
    )


def stack_settings() -> StackSettings:
    """What the running stack is configured with; only meaningful inside a Pulumi program."""
    import pulumi  # noqa: PLC0415 - takes half a second, and flows read settings without it

    config = pulumi.Config()
    return StackSettings(
        site=pulumi.get_stack(),
        start_timeout_s=config.get_int("startTimeoutSeconds") or DEFAULT_START_TIMEOUT_S,
    )


def prepare(settings: Settings) -> None:
    """Make the state directory, passphrase and SSH key unless they are there.

    Safe to run from several processes at once. Raises SettingsError when a secret of ours is
    readable by others or the disk refuses.
    """
    try:
        for directory in (settings.state, settings.state / "pulumi", settings.private_key.parent):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.state.chmod(0o700)
        create_once(settings.passphrase_file, secrets.token_urlsafe(32) + "\n")
        if not settings.private_key.exists():
            _make_key(settings)
        if not settings.public_key.exists():
            public = _ssh_keygen("-y", "-f", str(settings.private_key))
            write_atomic(settings.public_key, public)
    except OSError as error:
        raise SettingsError(
            f"the state directory cannot be written: {error.strerror}",
            where=str(error.filename or settings.state),
            remedy="free some space, mend its owner, or name another one in SKERRY_STATE",
        ) from error
    for secret in (settings.passphrase_file, settings.private_key):
        if secret.stat().st_mode & 0o077:
            raise SettingsError(
                "a secret can be read by other users of this machine",
                where=str(secret),
                remedy=f"chmod 600 {shlex.quote(str(secret))}",
            )


def read_public_key(settings: Settings) -> str:
    """The operator's public key, without its comment; raises SettingsError."""
    try:
        kind, key = settings.public_key.read_text().split()[:2]
    except (OSError, ValueError) as error:
        raise SettingsError(
            "there is no usable SSH public key for the operator",
            where=str(settings.public_key),
            remedy='run `eval "$(make env)"` once, it makes one',
        ) from error
    return f"{kind} {key}"


def pulumi_environment(settings: Settings) -> dict[str, str]:
    """The variables under which plain `pulumi` works on our stacks; PATH is not among them."""
    return {
        "PULUMI_HOME": str(settings.state / "pulumi-home"),
        "PULUMI_BACKEND_URL": settings.backend_url,
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(settings.passphrase_file),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # A plugin that is missing is an error to read, not something to fetch from elsewhere.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "SKERRY_STATE": str(settings.state),
        "SKERRY_INVENTORIES": str(settings.inventories),
        # The engine starts providers in folders of its own; they import this package.
        "PYTHONPATH": str(CHECKOUT),
    }


def shell_exports(settings: Settings, tools: Path | None) -> str:
    """Lines for `eval` in a POSIX shell: the variables, and PATH with this interpreter first.

    `tools` is the folder of the Pulumi CLI, which also holds its language host.
    """
    first = [str(Path(sys.executable).parent), *([str(tools)] if tools else [])]
    lines = [
        f"export {key}={shlex.quote(value)}" for key, value in pulumi_environment(settings).items()
    ]
    path = shlex.quote(os.pathsep.join(first))
    return "\n".join([*lines, f'export PATH={path}:"$PATH"']) + "\n"


def _make_key(settings: Settings) -> None:
    """Generate aside, then link: of several makers one wins, and the public half follows it."""
    with tempfile.TemporaryDirectory(dir=settings.private_key.parent) as folder:
        fresh = Path(folder) / "key"
        _ssh_keygen("-q", "-t", "ed25519", "-N", "", "-C", "skerry", "-f", str(fresh))
        create_once(settings.private_key, fresh.read_bytes())


def _ssh_keygen(*arguments: str) -> str:
    try:
        return process.run(
            ["ssh-keygen", *arguments],
            timeout=30,
            remedy="install the OpenSSH client (Debian: openssh-client)",
        ).stdout
    except ProcessError as error:
        raise SettingsError(error.what, where=error.where, remedy=error.remedy) from error


def tool(settings: Settings, name: str) -> Path:
    """The binary of an engine as `make tools` recorded it; raises SettingsError."""
    remedy = "run `make tools`"
    try:
        path = Path(json.loads(settings.tools_manifest.read_text())[name]["path"])
    except FileNotFoundError as error:
        raise SettingsError(
            "the engines are not installed", where=str(settings.tools_manifest), remedy=remedy
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"the list of engines does not name {name}",
            where=str(settings.tools_manifest),
            remedy=remedy,
        ) from error
    if not os.access(path, os.X_OK):
        raise SettingsError(f"the binary of {name} is gone", where=str(path), remedy=remedy)
    return path


def main() -> int:
    """Make what is missing and print the exports; 1 with an error when something is in the way."""
    here = load()
    try:
        prepare(here)
        exports = shell_exports(here, tool(here, "pulumi").parent)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(exports)
    return 0


if __name__ == "__main__":
    sys.exit(main())
