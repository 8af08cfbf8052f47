"""Who is let in at all: so many from one address, and nobody who does not say who they are.

pynetdicom counts associations only once a caller has asked for one, so that callers who open
connections and stay silent would hold all of them, and a thread each.
"""

from __future__ import annotations

import socket
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress


class Door:
    """Counts the connections that are open, by address.

    Args:
        most: In all; more are turned away without a word.
        most_from_one: From one address.
        seconds: Within which a caller must ask for an association.
    """

    def __init__(self, most: int, most_from_one: int, seconds: float) -> None:
        self._most, self._most_from_one, self._seconds = most, most_from_one, seconds
        self._lock = threading.Lock()
        self._inside: dict[weakref.ref[socket.socket], str] = {}
        self._waiting: weakref.WeakKeyDictionary[socket.socket, threading.Timer]
        self._waiting = weakref.WeakKeyDictionary()

    def admits(
        self, line: socket.socket, address: str, peers: Mapping[str, frozenset[str]]
    ) -> bool:
        """Tell whether a caller may come in, and count it if so.

        Args:
            line: Its connection.
            address: Where it calls from.
            peers: As of `NodeSettings`; where each has its addresses, nobody else is let in.
        """
        known = frozenset[str]().union(*peers.values()) if all(peers.values()) else None
        if known is not None and address not in known:
            return False
        with self._lock:
            self._inside = {one: at for one, at in self._inside.items() if _open(one())}
            from_there = sum(at == address for at in self._inside.values())
            if len(self._inside) >= self._most or from_there >= self._most_from_one:
                return False
            self._inside[weakref.ref(line)] = address
        self._wait_for(line)
        return True

    def introduced(self, line: socket.socket) -> None:
        """Note that a caller has got its association.

        Args:
            line: Its connection.
        """
        timer = self._waiting.pop(line, None)
        if timer is not None:
            timer.cancel()

    def leave(self, line: socket.socket) -> None:
        """Note that a caller is done, though its connection may be open for a moment yet.

        Args:
            line: Its connection.
        """
        self.introduced(line)
        with self._lock:
            self._inside.pop(weakref.ref(line), None)

    def _wait_for(self, line: socket.socket) -> None:
        timer = threading.Timer(self._seconds, _hang_up, (weakref.ref(line),))
        timer.daemon = True
        self._waiting[line] = timer
        timer.start()


def _open(line: socket.socket | None) -> bool:
    return line is not None and line.fileno() != -1


def _hang_up(caller: weakref.ref[socket.socket]) -> None:
    """End a connection; the thread that reads from it then closes it."""
    line = caller()
    if line is not None:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
