"""HTTPS to an address whose certificate names something else: there is no DNS to rely on."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Answer:
    """Status, body and headers (keys in lower case)."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Endpoint:
    """Where to connect, and the name that the certificate there must have."""

    address: str
    port: int
    server_name: str
    context: ssl.SSLContext

    def request(
        self,
        method: str,
        path: str,
        *,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_S,
    ) -> Answer:
        """One request on a connection of its own; raises OSError or http.client.HTTPException."""
        connection = _Connection(self, timeout)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answer(
                response.status,
                response.read(),
                {key.lower(): value for key, value in response.getheaders()},
            )
        finally:
            connection.close()


def trust(ca: Path, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Trust one authority and nothing else; show a client certificate if there is one."""
    context = ssl.create_default_context(cafile=str(ca))
    if certificate is not None:
        context.load_cert_chain(str(certificate), str(key) if key else None)
    return context


class _Connection(http.client.HTTPSConnection):
    """Connects to the address, and asks for and checks the server's name."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        super().__init__(
            endpoint.server_name, endpoint.port, timeout=timeout, context=endpoint.context
        )
        self._endpoint = endpoint
        self.sock: Any = None

    def connect(self) -> None:
        plain = socket.create_connection(
            (self._endpoint.address, self._endpoint.port), timeout=self.timeout
        )
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._endpoint.context.wrap_socket(
            plain, server_hostname=self._endpoint.server_name
        )
