"""TLS for the node and for those that call."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lucidray.errors import ConfigError


@dataclass(frozen=True)
class Tls:
    """Files of keys and certificates, in PEM.

    Args:
        certificate: Who we are; None where only the other side shows who it is.
        key: The certificate's key.
        authorities: Whom we believe; of a node, given: callers must show a certificate too. Of a
            caller, None: those of the system.
    """

    certificate: Path | None = None
    key: Path | None = None
    authorities: Path | None = None


class _Unhurried(ssl.SSLContext):
    """A context that lets no caller keep the others waiting by not shaking hands."""

    seconds: float = 30

    def wrap_socket(self, sock: socket.socket, *args: Any, **named: Any) -> ssl.SSLSocket:
        """Wrap a socket; hands are shaken by its own thread, on the first byte."""
        sock.settimeout(self.seconds)
        named["do_handshake_on_connect"] = False
        return super().wrap_socket(sock, *args, **named)


def server_context(tls: Tls, seconds: float) -> ssl.SSLContext:
    """Return the context of a node.

    Args:
        tls: With certificate and key.
        seconds: How long a caller may stay silent.

    Raises:
        ConfigError: A file is missing or no such thing.
    """
    context = _Unhurried(ssl.PROTOCOL_TLS_SERVER)
    context.seconds = seconds
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate is None:
        raise ConfigError("a node with TLS needs a certificate and its key; name both.")
    load(context, tls)
    if tls.authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(tls: Tls) -> ssl.SSLContext:
    """Return the context of one that calls; else as `server_context`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.authorities is None:
        context.load_default_certs()
    load(context, tls)
    return context


def load(context: ssl.SSLContext, tls: Tls) -> None:
    """Read the files into a context, also anew: it shows the new certificate from then on.

    Args:
        context: Of `server_context` or `client_context`.
        tls: The files.

    Raises:
        ConfigError: A file is missing or no such thing; the context is as before.
    """
    try:
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
        if tls.authorities is not None:
            context.load_verify_locations(tls.authorities)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "a file of the TLS certificate, its key or its authorities cannot be read as PEM. "
            "Check the three paths."
        ) from error
