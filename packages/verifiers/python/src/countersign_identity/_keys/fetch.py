"""One fetch of a key set, within a time and a size, without redirects, proxies or content codings."""

import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from .._contract.json import parse_json

MAX_BYTES = 256 * 1024
_LOOPBACK = re.compile(r"(?:.+\.)?localhost\.?|127(?:\.\d+){3}|::1")


class FetchFailed(Exception):
    """Why a fetch gave no document. It never holds key material."""


def checked_url(url: str, *, insecure_transport: bool) -> SplitResult:
    """Raise ValueError unless the URL may be the root of trust. The message holds no credentials."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("the key set's URL must be an http or https URL without credentials")
    if parts.scheme == "http" and not insecure_transport and _LOOPBACK.fullmatch(parts.hostname) is None:
        # An attacker on the network could replace the gateway's keys and forge any identity.
        raise ValueError("plain http from another machine: use https, or insecure_transport=True in a trusted network")
    return parts


def call_later(delay: float, call: Callable[[], None]) -> Callable[[], object]:
    """Call once, in a thread that does not keep the process alive. The result cancels it."""
    timer = threading.Timer(delay, call)
    timer.daemon = True
    timer.start()
    return timer.cancel


def fetch_document(url: SplitResult, *, timeout: float = 5.0) -> object:
    """Fetch the JSON document. Raise FetchFailed."""
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=timeout)
    # The timeout of a socket bounds one read. This bounds them all, also if the body arrives byte by byte.
    cancel = call_later(timeout, partial(_shut_down, connection))
    try:
        headers = {"accept": "application/jwk-set+json, application/json", "cache-control": "no-cache"}
        connection.request("GET", f"{url.path or '/'}{'?' if url.query else ''}{url.query}", headers=headers)
        response = connection.getresponse()
        if response.status != 200:
            raise FetchFailed(f"status {response.status}")
        body = response.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES or response.length:
            raise FetchFailed("the key set is too large or incomplete")
        return parse_json(body)
    except (OSError, HTTPException, ValueError) as error:
        raise FetchFailed(str(error) or type(error).__name__) from error
    finally:
        cancel()
        connection.close()


def _shut_down(connection: HTTPConnection) -> None:
    with suppress(AttributeError, OSError):  # It is not connected yet, or no longer.
        connection.sock.shutdown(socket.SHUT_RDWR)
