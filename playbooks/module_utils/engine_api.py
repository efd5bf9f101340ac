"""Calls the JSON APIs of Vault, Consul and Nomad with the standard library alone.

It runs on the managed machines, which carry no client libraries of the engines.
"""

from __future__ import annotations

import http
import http.client
import json
import random
import socket
import ssl
import time
import urllib.parse
from typing import Any

RETRIED_STATUS = frozenset({429, 500, 502, 503, 504})


class ApiError(Exception):
    """An engine refused a call or could not be reached; the message names call and answer."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Api:
    """One engine's API.

    `url` is https://host:port or unix:///path; `token_header` names the engine's header
    (X-Vault-Token, X-Consul-Token, X-Nomad-Token). Raises ApiError.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        token_header: str = "X-Vault-Token",  # noqa: S107 -- the name of a header
        ca_cert: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        timeout_s: float = 30.0,
        retry_s: float = 30.0,
    ) -> None:
        self.url = urllib.parse.urlsplit(url)
        self.headers = {"Content-Type": "application/json"}
        if token:
            self.headers[token_header] = token
        self.ca_cert = ca_cert
        self.client_cert = client_cert
        self.client_key = client_key
        self.timeout_s = timeout_s
        self.retry_s = retry_s

    def _connection(self) -> http.client.HTTPConnection:
        if self.url.scheme == "unix":
            return _UnixConnection(self.url.path, self.timeout_s)
        context = ssl.create_default_context(cafile=self.ca_cert)
        if self.client_cert:
            context.load_cert_chain(self.client_cert, self.client_key)
        return http.client.HTTPSConnection(
            self.url.hostname or "", self.url.port, timeout=self.timeout_s, context=context
        )

    def once(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Make one call, bytes go as they are; (status, decoded JSON, text or None)."""
        connection = self._connection()
        try:
            payload = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, body=payload, headers=self.headers)
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        try:
            return response.status, json.loads(raw) if raw else None
        except ValueError:
            return response.status, raw.decode(errors="replace").strip()

    def call(
        self, method: str, path: str, body: Any = None, *, missing_ok: bool = False
    ) -> tuple[int, Any]:
        """Call until an answer that is final, for at most `retry_s` seconds.

        Unreachable, 429 and 5xx are tried again with growing, jittered pauses. With `missing_ok`
        a 404 (or an engine's "not found" in other words) is an answer, not an error.
        """
        deadline = time.monotonic() + self.retry_s
        pause = 0.25
        while True:
            try:
                status, answer = self.once(method, path, body)
                problem = f"answered {status}: {_text(answer)}"
            except (OSError, http.client.HTTPException) as error:
                status, answer, problem = 0, None, f"not reached: {error}"
            if http.HTTPStatus.OK <= status < http.HTTPStatus.MULTIPLE_CHOICES:
                return status, answer
            missing = status == http.HTTPStatus.NOT_FOUND or "not found" in _text(answer).lower()
            if missing and missing_ok:
                return http.HTTPStatus.NOT_FOUND, None
            retried = (status == 0 or status in RETRIED_STATUS) and not missing
            if not retried or time.monotonic() + pause > deadline:
                where = self.url.netloc or self.url.path
                raise ApiError(f"{method} {path} at {where} {problem}")
            time.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 -- jitter, not a secret
            pause = min(pause * 2, 4.0)


def _text(answer: Any) -> str:
    if isinstance(answer, dict) and answer.get("errors") is not None:
        return "; ".join(str(error) for error in answer["errors"]) or "no reason given"
    return "" if answer is None else str(answer)[:500]


API_ARGUMENTS = {
    "url": {"type": "str", "required": True},
    "token": {"type": "str", "no_log": True},
    "token_header": {"type": "str", "default": "X-Vault-Token", "no_log": False},
    "ca_cert": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path"},
    "retry_s": {"type": "float", "default": 30.0},
}


def api_from(params: dict[str, Any]) -> Api:
    """Build the Api that a module's arguments (API_ARGUMENTS) describe."""
    return Api(
        params["url"],
        token=params["token"],
        token_header=params["token_header"],
        ca_cert=params["ca_cert"],
        client_cert=params["client_cert"],
        client_key=params["client_key"],
        retry_s=params["retry_s"],
    )
