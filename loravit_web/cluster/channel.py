"""A direct connection to a replica, because a request through Ray Serve takes 5 to 8 ms longer.

Messages are pickled, so both ends prove to each other that they know the key before either reads one. Ray
tells the key to those who may use its cluster. Messages are not encrypted, like those of Ray.
"""

from __future__ import annotations

import hmac
import logging
import pickle
import secrets
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

CONNECT_SECONDS = 2.0
MESSAGE_SECONDS = 30
"""Seconds that one message may pause on its way."""
_NONCE_BYTES, _MAX_PROOF_BYTES = 32, 64
_CLIENT, _SERVER = b"client", b"server"
_KEEP_ALIVE = (("TCP_KEEPIDLE", 4), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3))
"""A machine that is gone without a word is noticed after 10 s, where the system has these options."""
_LOG = logging.getLogger(__name__)

Answer = Callable[[str, tuple[Any, ...]], object]
"""Returns the reply to a method and its arguments."""


class ChannelLost(Exception):
    """A connection that failed or ended before the reply."""


class ReplyFailed(Exception):
    """An unexpected error of the other side."""


@dataclass(frozen=True)
class Address:
    """Where a replica listens.

    Attributes:
        host: Address of its machine.
        port: TCP port.
        key: Key that both sides prove to know.
    """

    host: str
    port: int
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class _Failed:
    """An unexpected error, in words, because not every exception can be pickled."""

    error: str


class Listener:
    """Replies to requests, each connection in a thread of its own.

    Args:
        host: Address to listen on.
        answer: Returns the reply to a request.
        at_once: Number of requests that are answered at once. Others wait.
    """

    def __init__(self, host: str, answer: Answer, at_once: int) -> None:
        self._answer, self._turns = answer, threading.BoundedSemaphore(at_once)
        self._lock, self._requests = threading.Lock(), 0
        self._socket = socket.create_server((host, 0), backlog=128)
        self.address = Address(host, int(self._socket.getsockname()[1]), secrets.token_bytes(_NONCE_BYTES))
        threading.Thread(target=self._accept, name="channel", daemon=True).start()

    @property
    def requests(self) -> int:
        """Number of requests that are being answered or wait for it."""
        return self._requests

    def close(self) -> None:
        """Accept no more connections."""
        with suppress(OSError):  # where a closed socket wakes the thread by itself
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _peer = self._socket.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(accepted,), name="answer", daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with _connection(accepted) as connection:
            try:
                _prove(connection, self.address.key, _SERVER, _CLIENT)
                while True:
                    connection.poll(None)
                    method, arguments = pickle.loads(connection.recv_bytes())
                    connection.send_bytes(pickle.dumps(self._reply(method, arguments)))
            except (OSError, EOFError, ChannelLost):  # the other side has ended the connection
                return

    def _reply(self, method: str, arguments: tuple[Any, ...]) -> object:
        with self._lock:
            self._requests += 1
        try:
            with self._turns:
                return self._answer(method, arguments)
        except Exception as error:  # noqa: BLE001 - raised on the other side
            _LOG.exception("A request failed.")
            return _Failed(f"{type(error).__name__}: {error}")
        finally:
            with self._lock:
                self._requests -= 1


class Channel:
    """Sends requests to a `Listener`, each on a connection of its own, which is used again. Thread-safe.

    Args:
        address: Address of the listener.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock, self._idle, self._is_open = threading.Lock(), list[Connection](), True

    def ask(self, method: str, arguments: tuple[Any, ...], seconds: float) -> Any:
        """Return the reply to a request.

        Args:
            method: Name of the method.
            arguments: Its arguments.
            seconds: Seconds to wait for the reply.

        Raises:
            ChannelLost: If the other side is gone.
            TimeoutError: If it does not reply in time.
            ReplyFailed: If its code raises an error.
        """
        message = pickle.dumps((method, arguments))
        try:
            connection = self._taken()
            try:
                connection.send_bytes(message)
                if not connection.poll(seconds):
                    raise TimeoutError
                reply = pickle.loads(connection.recv_bytes())
            except BaseException:
                connection.close()
                raise
        except TimeoutError:
            raise
        except (OSError, EOFError) as error:
            self.close_idle()  # they lead to the same process
            raise ChannelLost(str(error)) from error
        self._put_back(connection)
        if isinstance(reply, _Failed):
            raise ReplyFailed(reply.error)
        return reply

    def close(self) -> None:
        """Close the connections, those in use after their reply."""
        self._is_open = False
        self.close_idle()

    def close_idle(self) -> None:
        """Close the connections that are not in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _taken(self) -> Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        try:
            made = socket.create_connection((self._address.host, self._address.port), CONNECT_SECONDS)
        except TimeoutError as error:
            raise ChannelLost("no connection") from error
        made.settimeout(None)
        connection = _connection(made)
        try:
            _prove(connection, self._address.key, _CLIENT, _SERVER)
        except BaseException:
            connection.close()
            raise
        return connection

    def _put_back(self, connection: Connection) -> None:
        with self._lock:
            if self._is_open:
                self._idle.append(connection)
                return
        connection.close()


def _connection(made: socket.socket) -> Connection:
    """Return a connection that keeps the options of a socket: short messages at once, no endless pauses."""
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        made.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", MESSAGE_SECONDS, 0))
    return Connection(made.detach())


def _prove(connection: Connection, key: bytes, own: bytes, other: bytes) -> None:
    """Prove to know the key, and check that the other side does.

    Proofs name the side, so that none can be sent back.

    Raises:
        ChannelLost: If it does not.
    """
    asked = secrets.token_bytes(_NONCE_BYTES)
    connection.send_bytes(asked)
    connection.send_bytes(hmac.digest(key, own + connection.recv_bytes(_NONCE_BYTES), "sha256"))
    proof = connection.recv_bytes(_MAX_PROOF_BYTES)
    if not hmac.compare_digest(proof, hmac.digest(key, other + asked, "sha256")):
        raise ChannelLost("the other side does not know the key")
