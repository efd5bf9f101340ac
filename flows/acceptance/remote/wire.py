"""Looks at what goes over the wire: TLS, refused protocols, captured gossip, web pages."""

from __future__ import annotations

import hashlib
import http.client
import socket
import ssl
import struct
import time
from typing import TypedDict

from flows.acceptance.remote.engines import CA, CALL_S, tls_context

QUIET_S = 3.0
ETH_P_ALL = 3
_ETHERNET, _IPV4, _TCP, _UDP = 14, 0x0800, 6, 17
RAFT = {"nomad": (4647, 0x04, 0x02), "consul": (8300, 0x03, 0x01)}
"""Port, the byte that asks for TLS, and the byte that asks for a server's raft channel."""


class Page(TypedDict):
    """What a web server showed; status 0 when it did not, `said` tells why."""

    status: int
    said: str


class Captured(TypedDict):
    """Packets seen per port, and names that were readable in them."""

    packets: dict[str, int]
    readable: list[str]


def without_certificate(targets: list[tuple[str, int]]) -> dict[str, str]:
    """Do TLS with no client certificate: per target `refused: why` or `accepted: answer`."""
    return {f"{host}:{port}": _bare_tls(host, port) for host, port in targets}


def _bare_tls(host: str, port: int) -> str:
    context = tls_context("none", check_hostname=False)
    try:
        with (
            socket.create_connection((host, port), CALL_S) as raw,
            context.wrap_socket(raw) as stream,
        ):
            stream.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: check\r\n\r\n")
            # With TLS 1.3 the refusal comes with the first read.
            answer = stream.recv(256)
    except ssl.SSLError as error:
        return f"refused: {error.reason or error}"
    except ConnectionResetError:
        return "refused: connection reset"
    except OSError as error:
        return f"not reached: {error}"
    return f"accepted: {answer[:60]!r}" if answer else "refused: closed without an answer"


def plaintext(targets: list[tuple[str, int]]) -> dict[str, str]:
    """Speak HTTP without TLS: per target `refused: why` or `accepted: answer`."""
    return {f"{host}:{port}": _plain(host, port) for host, port in targets}


def _plain(host: str, port: int) -> str:
    try:
        with socket.create_connection((host, port), CALL_S) as stream:
            stream.settimeout(QUIET_S)
            stream.sendall(b"GET /v1/agent/self HTTP/1.1\r\nHost: check\r\n\r\n")
            answer = stream.recv(256)
    except ConnectionRefusedError:
        return "refused: nothing listens"
    except (ConnectionResetError, TimeoutError) as error:
        return f"refused: {type(error).__name__}"
    except OSError as error:
        return f"not reached: {error}"
    if not answer:
        return "refused: closed without an answer"
    if (b" 400 " in answer and b"HTTPS server" in answer) or answer[:1] == b"\x15":
        return "refused: TLS only"
    return f"accepted: {answer[:60]!r}"


def raft_dial(engine: str, host: str, cert: str) -> str:
    """Ask a server for its raft channel as another server would: `open`, or why not.

    `cert` is one of this machine's certificates. An open channel is closed with nothing said on it.
    """
    port, ask_tls, ask_raft = RAFT[engine]
    context = tls_context(cert, check_hostname=False)
    try:
        with socket.create_connection((host, port), CALL_S) as raw:
            raw.sendall(bytes([ask_tls]))
            with context.wrap_socket(raw) as stream:
                stream.settimeout(QUIET_S)
                stream.sendall(bytes([ask_raft]))
                return "refused: closed" if not stream.recv(1) else "open"
    except TimeoutError:
        return "open"
    except ConnectionResetError:
        return "refused: reset"
    except ssl.SSLError as error:
        return f"refused: {error.reason or error}"
    except OSError as error:
        return f"not reached: {error}"


def capture(ports: list[int], names: list[str], seconds: float) -> Captured:
    """Read every packet of some ports for a while; say which names can be read in them."""
    wanted, count = set(ports), dict.fromkeys(map(str, ports), 0)
    readable: set[str] = set()
    needles = {name: name.encode() for name in names}
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as raw:
        raw.settimeout(0.5)
        while time.monotonic() < deadline:
            try:
                packet = raw.recv(65535)
            except TimeoutError:
                continue
            for port in _ports(packet) & wanted:
                count[str(port)] += 1
                readable.update(n for n, needle in needles.items() if needle in packet)
    return {"packets": count, "readable": sorted(readable)}


def _ports(packet: bytes) -> set[int]:
    """Both ports of an IPv4 TCP or UDP packet in an Ethernet frame."""
    body = packet[_ETHERNET:]
    if len(body) < 24 or struct.unpack_from("!H", packet, 12)[0] != _IPV4:  # noqa: PLR2004
        return set()
    if body[9] not in (_TCP, _UDP):
        return set()
    return set(struct.unpack_from("!HH", body, (body[0] & 0x0F) * 4))


def fetch(address: str, host: str, path: str = "/", timeout_s: float = 0.0) -> Page:
    """Get a page by HTTPS with the certificate checked; tried again until 200 or time is up."""
    deadline = time.monotonic() + timeout_s
    while (page := _fetch(address, host, path))["status"] != http.HTTPStatus.OK:
        if time.monotonic() >= deadline:
            break
        time.sleep(0.5)
    return page


def _fetch(address: str, host: str, path: str) -> Page:
    context = ssl.create_default_context(cafile=CA)
    try:
        with (
            socket.create_connection((address, 443), CALL_S) as raw,
            context.wrap_socket(raw, server_hostname=host) as stream,
        ):
            stream.settimeout(CALL_S)
            request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            stream.sendall(request.encode())
            answer = http.client.HTTPResponse(stream)
            answer.begin()
            return {"status": answer.status, "said": answer.read(4096).decode(errors="replace")}
    except (OSError, http.client.HTTPException) as error:
        return {"status": 0, "said": f"{type(error).__name__}: {error}"}


def shown_certificate(host: str, port: int) -> str:
    """SHA-256 of the certificate a TLS port shows, or empty when it shows none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    ask_tls = {of: byte for of, byte, _ in RAFT.values()}
    try:
        with socket.create_connection((host, port), CALL_S) as raw:
            if port in ask_tls:
                raw.sendall(bytes([ask_tls[port]]))
            with context.wrap_socket(raw) as stream:
                return hashlib.sha256(stream.getpeercert(binary_form=True) or b"").hexdigest()
    except OSError:
        return ""


class Probed(TypedDict):
    """How often a page was asked for, how often it did not come, and what came the first time."""

    asked: int
    failed: int
    said: str


def probe(pages: list[tuple[str, str]], until: float, every_s: float = 0.5) -> Probed:
    """Ask for pages (address, host) in turn for `until` seconds."""
    told: Probed = {"asked": 0, "failed": 0, "said": ""}
    deadline = time.monotonic() + until
    while time.monotonic() < deadline:
        for address, host in pages:
            page = _fetch(address, host, "/")
            told["asked"] += 1
            if page["status"] != http.HTTPStatus.OK:
                told["failed"] += 1
                told["said"] = told["said"] or f"{host}: {page['status']} {page['said'][:100]}"
        time.sleep(every_s)
    return told
