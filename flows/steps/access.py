"""What an operator's own machine needs to use a site's engines: certificates and tokens.

They are fetched from the site's first server and kept below the state directory, mode 0600. What
is printed for a shell names files, never what is in them.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.errors import StepError
from flows.steps import remote
from flows.steps.https import Endpoint, trust
from infra.files import write_atomic
from infra.inventory.model import HostVars, SiteVars
from infra.settings import Settings, tool

_ENGINES = ("nomad", "consul", "vault")


@dataclass(frozen=True)
class SiteAccess:
    """Files and addresses for one site; the secrets stay in the files."""

    site: str
    folder: Path
    server: str
    """Address of the site's first server as the operator reaches it."""
    vault_address: str

    @property
    def ca(self) -> Path:
        """The federation's root certificate."""
        return self.folder / "ca.pem"

    @property
    def certificate(self) -> Path:
        """The operator's client certificate for Nomad and Consul."""
        return self.folder / "cert.pem"

    @property
    def key(self) -> Path:
        """Its key."""
        return self.folder / "key.pem"

    @property
    def nomad_token(self) -> Path:
        """The region's management token."""
        return self.folder / "nomad.token"

    @property
    def consul_token(self) -> Path:
        """A token that sees the datacenter's nodes, agents and services."""
        return self.folder / "consul.token"

    def community_token(self, community: str) -> str:
        """The token with which a member of a community works in this region."""
        file = self.folder / f"community-{community}.token"
        try:
            return file.read_text().strip()
        except OSError as error:
            raise StepError(
                f"the site {self.site} has no token for the community {community}",
                where=str(file),
                remedy=f"list the community in the site's file and run deploy-site for {self.site}",
            ) from error

    @property
    def nomad(self) -> Endpoint:
        """Nomad's API on the first server."""
        context = trust(self.ca, self.certificate, self.key)
        return Endpoint(self.server, 4646, f"server.{self.site}.nomad", context)


def fetch(site: str, settings: Settings) -> SiteAccess:
    """Fetch the operator's certificate and tokens for a site; raises StepError."""
    variables = remote.inventory(site, settings).site_group.vars
    where = remote.login(site, settings)
    request = {
        "site": site,
        "server": where.host,
        "vault_address": str(variables.fed_control_address),
    }
    answer = remote.call(where, "site_access", request)
    access = _access(site, where, variables, settings)
    files = {
        access.ca: answer["ca"],
        access.certificate: answer["certificate"],
        access.key: answer["key"],
        access.nomad_token: answer["nomad_token"],
        access.consul_token: answer["consul_token"],
    }
    for community, token in answer["communities"].items():
        files[access.folder / f"community-{community}.token"] = token
    access.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file, content in files.items():
        write_atomic(file, str(content).strip() + "\n", mode=0o600)
    return access


def _access(site: str, where: remote.Login, variables: SiteVars, settings: Settings) -> SiteAccess:
    return SiteAccess(
        site=site,
        folder=folder(variables.fed_name, settings) / site,
        server=where.address,
        vault_address=str(variables.fed_control_address),
    )


def folder(federation: str, settings: Settings) -> Path:
    """Where the certificates and tokens of a federation's sites are kept."""
    return settings.state / "operator" / federation


def shell_exports(access: SiteAccess, settings: Settings) -> str:
    """Lines for `eval` in a POSIX shell, after which nomad, consul and vault work on the site."""
    site, server = access.site, access.server
    plain: Mapping[str, str] = {
        "NOMAD_ADDR": f"https://{server}:4646",
        "NOMAD_REGION": site,
        "NOMAD_TLS_SERVER_NAME": f"server.{site}.nomad",
        "NOMAD_CACERT": str(access.ca),
        "NOMAD_CLIENT_CERT": str(access.certificate),
        "NOMAD_CLIENT_KEY": str(access.key),
        "CONSUL_HTTP_ADDR": f"https://{server}:8501",
        "CONSUL_TLS_SERVER_NAME": f"server.{site}.consul",
        "CONSUL_CACERT": str(access.ca),
        "CONSUL_CLIENT_CERT": str(access.certificate),
        "CONSUL_CLIENT_KEY": str(access.key),
        "CONSUL_HTTP_TOKEN_FILE": str(access.consul_token),
        "VAULT_ADDR": f"https://{access.vault_address}:8200",
        "VAULT_CACERT": str(access.ca),
    }
    lines = [f"export {key}={shlex.quote(value)}" for key, value in plain.items()]
    lines.append(f'export NOMAD_TOKEN="$(cat {shlex.quote(str(access.nomad_token))})"')
    path = os.pathsep.join(dict.fromkeys(str(tool(settings, name).parent) for name in _ENGINES))
    lines.append(f'export PATH={shlex.quote(path)}:"$PATH"')
    return "\n".join(lines) + "\n"


def edges(site: str, settings: Settings) -> list[tuple[str, HostVars]]:
    """The site's edges by name."""
    hosts = remote.inventory(site, settings).site_group.hosts
    return [(name, host) for name, host in hosts.items() if host.fed_pool.value == "edge"]


def versions(settings: Settings) -> dict[str, str]:
    """Versions of the engines that the hosts run; raises SettingsError when there are none."""
    tool(settings, "nomad")
    manifest = json.loads(settings.tools_manifest.read_text())
    return {name: str(entry["version"]) for name, entry in sorted(manifest.items())}
