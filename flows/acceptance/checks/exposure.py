"""N7: secrets lie only where they belong."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from flows.acceptance.federation import Host
from flows.acceptance.model import Context, expect, none_of
from flows.acceptance.remote import engines, machine
from infra.settings import CHECKOUT, load

# What a token of any of the engines or a gossip key looks like.
_SHAPES = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\b[A-Za-z0-9+/]{43}=|\bhv[sb]\.[A-Za-z0-9_-]{20,}"
)
_VAULT_TOKEN = re.compile(r"\bhv[sb]\.[A-Za-z0-9_-]{20,}")
_PRIVATE_KEY = re.compile(r"^-----BEGIN ([A-Z]+ )?PRIVATE KEY-----\n[A-Za-z0-9+/=]", re.MULTILINE)
_LARGEST = 32 * 1024 * 1024


def n7_keys(context: Context) -> str:
    """No private key can be read by anybody but its owner."""
    found = context.each(
        context.federation.hosts, lambda host: context.ask(host, machine.loose_keys)
    )
    none_of(f"{host.name}: {loose}" for host, told in found for loose in told["loose"])
    keyless = [host.name for host, told in found if not told["keys"]]
    expect(not keyless, f"no key was found at all on {', '.join(keyless)}")
    return f"{sum(len(told['keys']) for _, told in found)} keys on {len(found)} machines"


def n7_hosts(context: Context) -> str:
    """No token or gossip key is in a file all can read, an environment, a command line or a log."""

    def look(host: Host) -> dict[str, object]:
        return context.ask(host, machine.exposed_secrets)

    problems, looked_for = [], 0
    for host, told in context.each(context.federation.hosts, look):
        count, places = told["secrets"], told["found"]
        expect(isinstance(count, int) and count, f"{host.name} has no secret to look for")
        looked_for += count if isinstance(count, int) else 0
        if isinstance(places, list):
            problems += [f"{host.name}: {place}" for place in places]
    none_of(problems)
    return f"{looked_for} secrets on {len(context.federation.hosts)} machines, none exposed"


def n7_controller(context: Context) -> str:
    """No secret of Vault is in stacks' states, inventories, reports or logs of the controller."""
    salt = secrets.token_hex(16)
    digests = set(context.ask(context.federation.control.first, engines.secret_digests, salt))
    expect(digests, "Vault holds no secret to look for")
    settings = load()
    folders = (settings.state / "pulumi", context.federation.inventories, CHECKOUT / "build")
    problems, files = [], 0
    for path in _files(*folders):
        text = path.read_text(errors="replace")
        files += 1
        if _VAULT_TOKEN.search(text) or _PRIVATE_KEY.search(text):
            problems.append(f"{path} holds a Vault token or a private key")
        shaped = {m[0] for m in _SHAPES.finditer(text)}
        if any(_digest(salt, candidate) in digests for candidate in shaped):
            problems.append(f"{path} holds a secret of Vault")
    none_of(problems)
    loose = [p for p in _files(settings.state) if p.suffix == ".json" and "vault" in p.name
             and p.stat().st_mode & 0o077]  # fmt: skip
    none_of(f"{path} can be read by others" for path in loose)
    return f"{files} files, none holds one of {len(digests)} secrets"


def _files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= _LARGEST:
                yield path


def _digest(salt: str, value: str) -> str:
    return hmac.new(salt.encode(), value.encode(), hashlib.sha256).hexdigest()
