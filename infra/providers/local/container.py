"""The container below a machine: made, attached, started, entered, removed."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from docker import DockerClient
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.models.networks import Network
from docker.types import EndpointConfig

from infra import names
from infra.errors import ProviderError
from infra.providers.local.daemon import foreign, is_ours

SSH_PORT = 22
_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
_LEAST_MEMORY_MIB = 512
_CPU_SHARES_PER_CORE = 1024
_CALL_S = 5
_PAUSE_S = 0.2
# systemd needs its control groups writable, and Docker mounts them read-only. In a namespace of its
# own a machine sees no group but its own; with cgroup version 1 each controller is a mount.
_BOOT = """\
for mount in /sys/fs/cgroup /sys/fs/cgroup/*; do
  if mountpoint -q "$mount"; then mount -o remount,bind,rw "$mount"; fi
done
exec /sbin/init
"""
_LIKE_A_MACHINE: dict[str, Any] = {
    "command": ["/bin/sh", "-c", _BOOT],
    "environment": {"container": "docker"},
    "stop_signal": "SIGRTMIN+3",
    "restart_policy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
    "cgroupns": "private",
    "cap_add": ["SYS_ADMIN", "NET_ADMIN"],
    "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
    "tmpfs": {"/run": "rw,nosuid,nodev,mode=755", "/tmp": "rw,nosuid,nodev,exec,mode=1777"},  # noqa: S108 - the machine's own
}
_INSTALL_KEY = """\
set -eu
home=$(getent passwd "$SKERRY_USER" | cut -d: -f6)
install -d -m 0700 -o "$SKERRY_USER" -g "$SKERRY_USER" "$home/.ssh"
umask 077
printf '%s\\n' "$SKERRY_KEY" > "$home/.ssh/authorized_keys.new"
chown "$SKERRY_USER:" "$home/.ssh/authorized_keys.new"
mv "$home/.ssh/authorized_keys.new" "$home/.ssh/authorized_keys"
"""


@dataclass(frozen=True)
class MachineSpec:
    """One machine. `addresses` maps a network's name to the fixed address there."""

    name: str
    hostname: str
    federation: str
    site: str
    image: str
    cpus: int
    memory_mib: int
    addresses: Mapping[str, str]
    volume: str
    user: str
    public_key: str
    start_timeout_s: int

    @property
    def endpoints(self) -> list[tuple[str, str]]:
        """Networks and addresses, the private one first: a mapping loses its order on the way."""
        private = names.private_network(self.federation, self.site)
        return sorted(self.addresses.items(), key=lambda item: (item[0] != private, item[0]))

    def digest(self) -> str:
        """Over what only a new container can change; the rest is set on a running one."""
        fixed = [self.hostname, self.image, sorted(self.addresses.items()), self.volume]
        return hashlib.sha256(json.dumps(fixed).encode()).hexdigest()


def ensure(client: DockerClient, spec: MachineSpec) -> Container:
    """The machine's container, adopted when a killed run left one made from the same spec.

    Raises ProviderError when the name belongs to somebody else or the image is absent.
    """
    try:
        container = client.containers.get(spec.name)
    except NotFound:
        return _create_or_join(client, spec)
    if not is_ours(container.labels, spec.federation, spec.site):
        raise foreign("container", spec.name, container.labels)
    if container.labels.get(names.LABEL_SPEC) == spec.digest():
        return container
    remove(client, spec)
    return _create_or_join(client, spec)


def settle(client: DockerClient, container: Container, spec: MachineSpec) -> None:
    """Bring an existing container to what the spec says, and wait until it answers to SSH."""
    container.reload()
    _attach(client, container, spec)
    container.update(**_limits(spec))
    if container.status == "paused":
        container.unpause()
    container.start()
    _await_ssh(container, spec)
    _install_key(container, spec)


def attached(container: Container, spec: MachineSpec) -> bool:
    """Whether the container sits in its networks with its addresses."""
    return _endpoints(container) == dict(spec.addresses)


def host_key(container: Container) -> str:
    """The public SSH host key without its comment; empty until the first boot made one."""
    try:
        stream, _ = container.get_archive(_HOST_KEY)
    except NotFound:
        return ""
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        member = archive.extractfile(archive.getmembers()[0])
        words = member.read().decode().split() if member else []
    return " ".join(words[:2])


def remove(client: DockerClient, spec: MachineSpec) -> None:
    """Remove container and volume; what is gone already is fine."""
    try:
        container = client.containers.get(spec.name)
        if is_ours(container.labels, spec.federation, spec.site):
            container.remove(force=True, v=True)
            _await_gone(client, str(container.id))
    except NotFound:
        pass
    try:
        volume = client.volumes.get(spec.volume)
        if is_ours(volume.attrs.get("Labels"), spec.federation, spec.site):
            volume.remove(force=True)
    except NotFound:
        pass


def _create_or_join(client: DockerClient, spec: MachineSpec) -> Container:
    """Create, unless the plugin of a killed run, still at work, was quicker."""
    try:
        return _create(client, spec)
    except APIError as error:
        if error.status_code != requests.codes.conflict:
            raise
        container = client.containers.get(spec.name)
        if container.labels.get(names.LABEL_SPEC) != spec.digest():
            raise
        return container


def _create(client: DockerClient, spec: MachineSpec) -> Container:
    _ensure_volume(client, spec)
    network, address = spec.endpoints[0]
    try:
        return client.containers.create(
            spec.image,
            name=spec.name,
            hostname=spec.hostname,
            labels=names.labels(
                spec.federation, spec.site, machine=spec.hostname, spec=spec.digest()
            ),
            network=network,
            networking_config={
                network: EndpointConfig(client.api.api_version, ipv4_address=address)
            },
            volumes={spec.volume: {"bind": "/var/lib/docker", "mode": "rw"}},
            # A machine in two networks must not become a road between them.
            sysctls={"net.ipv4.ip_forward": "0" if len(spec.addresses) > 1 else "1"},
            **_LIKE_A_MACHINE,
            **_limits(spec),
        )
    except ImageNotFound as error:
        raise _no_image(spec.image, spec.site) from error


def need_image(client: DockerClient, image: str, site: str) -> None:
    """Look for an image of a site's machines; raises ProviderError when it is not there."""
    try:
        client.images.get(image)
    except ImageNotFound as error:
        raise _no_image(image, site) from error


def _no_image(image: str, site: str) -> ProviderError:
    return ProviderError(
        f"the machine image {image} is not on this Docker host",
        where=f"site {site}",
        remedy="run `make host-image`, which makes it, or correct `image` in the site's file",
    )


def _limits(spec: MachineSpec) -> dict[str, Any]:
    """Memory is a limit; cores are a weight, since a small host has fewer than its machines."""
    memory = f"{max(spec.memory_mib, _LEAST_MEMORY_MIB)}m"
    return {
        "mem_limit": memory,
        "memswap_limit": memory,
        "cpu_shares": spec.cpus * _CPU_SHARES_PER_CORE,
    }


def _ensure_volume(client: DockerClient, spec: MachineSpec) -> None:
    try:
        volume = client.volumes.get(spec.volume)
    except NotFound:
        client.volumes.create(spec.volume, labels=names.labels(spec.federation, spec.site))
        return
    labels = volume.attrs.get("Labels")
    if not is_ours(labels, spec.federation, spec.site):
        raise foreign("volume", spec.volume, labels)
    # Its container is gone, so its content is a former machine's.
    volume.remove(force=True)
    client.volumes.create(spec.volume, labels=names.labels(spec.federation, spec.site))


def _endpoints(container: Container) -> dict[str, str]:
    networks: dict[str, dict[str, Any]] = container.attrs["NetworkSettings"]["Networks"]
    return {
        name: str(((endpoint or {}).get("IPAMConfig") or {}).get("IPv4Address", ""))
        for name, endpoint in networks.items()
    }


def _attach(client: DockerClient, container: Container, spec: MachineSpec) -> None:
    have: dict[str, dict[str, Any]] = container.attrs["NetworkSettings"]["Networks"]
    addresses = _endpoints(container)
    for name, address in spec.endpoints:
        try:
            network = client.networks.get(name)
        except NotFound as error:
            raise ProviderError(
                f"the network {name} that {spec.hostname} attaches to does not exist",
                where=f"site {spec.site}",
                remedy="stand up the control site first; it owns the wide-area network",
            ) from error
        # An endpoint of a network that was removed and made again names the old one.
        stale = (have.get(name) or {}).get("NetworkID") not in {network.id, "", None}
        if name in have and (addresses[name] != address or stale):
            network.disconnect(container, force=True)
        elif name in have:
            continue
        _connect(network, container, address)
    container.reload()


def _connect(network: Network, container: Container, address: str) -> None:
    try:
        network.connect(container, ipv4_address=address)
    except APIError:
        container.reload()
        if _endpoints(container).get(str(network.name)) != address:
            raise


def _await_ssh(container: Container, spec: MachineSpec) -> None:
    _, address = spec.endpoints[0]
    deadline = time.monotonic() + spec.start_timeout_s
    while time.monotonic() < deadline:
        container.reload()
        if container.status in {"exited", "dead"}:
            raise _not_up(container, spec, "stopped while starting")
        if host_key(container) and _greets(address):
            return
        time.sleep(_PAUSE_S)
    raise _not_up(container, spec, f"did not answer to SSH within {spec.start_timeout_s} s")


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, SSH_PORT), timeout=_CALL_S) as connection:
            connection.settimeout(_CALL_S)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _not_up(container: Container, spec: MachineSpec, what: str) -> ProviderError:
    log = bytes(container.logs(tail=15, stream=False)).decode(errors="replace").strip()
    return ProviderError(
        f"the machine {spec.hostname} {what}" + (f"; its last words:\n{log}" if log else ""),
        where=f"docker exec {spec.name} systemctl status ssh",
        remedy="on a busy host allow more time: `pulumi config set startTimeoutSeconds 300`",
    )


def _install_key(container: Container, spec: MachineSpec) -> None:
    done = container.exec_run(
        ["/bin/sh", "-c", _INSTALL_KEY],
        environment={"SKERRY_USER": spec.user, "SKERRY_KEY": spec.public_key},
    )
    if done.exit_code != 0:
        told = done.output.decode(errors="replace") if isinstance(done.output, bytes) else ""
        raise ProviderError(
            f"the operator's key cannot be installed for user {spec.user}: {told.strip()}",
            where=f"machine {spec.hostname}",
            remedy="the image must have this user with a home directory; make it again",
        )


def _await_gone(client: DockerClient, container_id: str) -> None:
    # A removal that another run began answers at once and goes on in the background.
    for _ in range(100):
        try:
            client.containers.get(container_id)
        except NotFound:
            return
        time.sleep(_PAUSE_S)
