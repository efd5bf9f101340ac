"""Docker authorization plugin: refuses containers that reach past their own walls.

Nomad refuses privileged containers and host binds itself, but lets a job share the host's process,
IPC or user namespace, add capabilities or devices. The daemon asks here before it creates a
container, so no job specification can get around it. Protocol: Docker Engine API, access
authorization plugin (AuthZPlugin.AuthZReq, AuthZPlugin.AuthZRes).
"""

from __future__ import annotations

import base64
import json
import os
import re
import socketserver
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

SOCKET = Path("/run/docker/plugins/skerry.sock")
CREATE = re.compile(r"^(/v[0-9.]+)?/containers/create$")
EXEC = re.compile(r"^(/v[0-9.]+)?/containers/[^/]+/exec$")
# Where Nomad keeps what it shares with a task: its allocation's own directories.
BINDABLE = ("/var/lib/nomad/alloc/", "/var/lib/nomad/alloc_mounts/")
# Docker's own default set: a job may drop capabilities, not gain any.
CAPABILITIES = frozenset((
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
))  # fmt: skip
# A profile of a job's own could allow what the default one refuses.
SECURITY_OPTIONS = frozenset(
    ("no-new-privileges", "no-new-privileges=true", "no-new-privileges:true")
)


def shared_namespaces(host: dict) -> list[str]:
    """List the namespaces a container would share with the host or with another container."""
    found = []
    for key in ("PidMode", "IpcMode", "UsernsMode", "UTSMode", "NetworkMode", "CgroupnsMode"):
        kind, _, _ = str(host.get(key) or "").partition(":")
        # Nomad itself puts a group's tasks into the network namespace of one of them.
        if kind == "host" or (kind == "container" and key != "NetworkMode"):
            found.append(f"{key}={kind}")
    return found


def foreign_files(host: dict) -> list[str]:
    """List the host's or other containers' files that a container would see."""
    mounts = [mount for mount in host.get("Mounts") or [] if mount.get("Type") != "tmpfs"]
    sources = [str(bind).split(":")[0] for bind in host.get("Binds") or []]
    sources += [str(mount.get("Source")) for mount in mounts if mount.get("Type") == "bind"]
    # Links are followed: a task can make one in its own directory that leads out of it.
    found = [
        f"host path {path}"
        for path in sources
        if path.startswith("/") and not (os.path.realpath(path) + "/").startswith(BINDABLE)
    ]
    # A volume's driver can bind any path of the host.
    found += [
        f"volume driver of {mount.get('Source') or mount.get('Target')}"
        for mount in mounts
        if (mount.get("VolumeOptions") or {}).get("DriverConfig")
    ]
    found += [f"volume driver {host['VolumeDriver']}"] if host.get("VolumeDriver") else []
    return found + [f"volumes of {name}" for name in host.get("VolumesFrom") or []]


def escapes(body: dict) -> list[str]:
    """List what a container asks for and may not have."""
    host = body.get("HostConfig") or {}
    found = ["privileged"] if host.get("Privileged") else []
    found += shared_namespaces(host) + foreign_files(host)
    added = {str(name).upper().removeprefix("CAP_") for name in host.get("CapAdd") or []}
    found += [f"capability {name}" for name in sorted(added - CAPABILITIES)]
    found += [f"device {device.get('PathOnHost')}" for device in host.get("Devices") or []]
    found += [f"device rule {rule}" for rule in host.get("DeviceCgroupRules") or []]
    found += [
        f"security option {option}"
        for option in host.get("SecurityOpt") or []
        if option not in SECURITY_OPTIONS
    ]
    if host.get("CgroupParent") and not str(host["CgroupParent"]).startswith(("/nomad", "nomad")):
        found.append(f"cgroup parent {host['CgroupParent']}")
    return found


def decide(request: dict) -> dict:
    """Answer one question of the daemon."""
    # The daemon routes by the decoded path, so this judges that one.
    path = re.sub("/+", "/", unquote(urlsplit(request.get("RequestUri") or "").path))
    create, execute = CREATE.match(path), EXEC.match(path)
    if request.get("RequestMethod") != "POST" or not (create or execute):
        return {"Allow": True}
    try:
        body = json.loads(base64.b64decode(request.get("RequestBody") or b""))
        found = escapes(body) if create else ["privileged"] if body.get("Privileged") else []
    except (AttributeError, TypeError, ValueError):
        # A body the daemon did not pass on (too large, or of another type) cannot be judged.
        return {"Allow": False, "Msg": "skerry: the request's body could not be read"}
    if found:
        return {"Allow": False, "Msg": f"skerry: not allowed here: {', '.join(found)}"}
    return {"Allow": True}


class Handler(BaseHTTPRequestHandler):
    """Speaks the plugin protocol."""

    def do_POST(self) -> None:
        """Answer one call of the daemon."""
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        if self.path == "/Plugin.Activate":
            answer = {"Implements": ["authz"]}
        elif self.path == "/AuthZPlugin.AuthZReq":
            answer = decide(json.loads(raw))
        else:
            answer = {"Allow": True}
        payload = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.plugins.v1.1+json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def address_string(self) -> str:
        """Name the peer; a Unix socket has none."""
        return "docker"

    def log_message(self, *args: object) -> None:
        """Stay quiet: the daemon logs refusals."""


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """One thread a call, so that a slow one cannot hold the daemon up."""

    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    SOCKET.parent.mkdir(parents=True, exist_ok=True)
    SOCKET.unlink(missing_ok=True)
    with Server(str(SOCKET), Handler) as server:
        SOCKET.chmod(0o600)
        server.serve_forever()
