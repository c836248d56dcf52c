"""What may lie between an experiment and its database: a bad network, or a guard at the door."""

import base64
import hashlib
import hmac
import os
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import bson

OP_MSG = 2013
# read from the protocol: a message starts with its length, its number, what it answers and its kind
HEADER = struct.Struct("<iiii")
ITERATIONS = 4096


@dataclass
class Network:
    """A network that passes on what it is given, until it is told otherwise.

    Attributes:
        delay: seconds that each packet is late, both ways.
        is_silent: whether packets vanish, while connections stay open.
        is_cut: whether connections are reset, and new ones refused.
    """

    server_port: int
    delay: float = 0.0
    is_silent: bool = False
    is_cut: bool = False
    port: int = 0
    connections: set[socket.socket] = field(default_factory=set)

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}"

    def fall_silent(self) -> None:
        self.is_silent = True

    def mend(self) -> None:
        self.delay, self.is_silent, self.is_cut = 0.0, False, False

    def cut(self) -> None:
        self.is_cut = True
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def connect(self, client: socket.socket) -> None:
        """Serve a client until one side leaves."""
        if self.is_cut:
            return
        with socket.create_connection(("127.0.0.1", self.server_port)) as server:
            self.connections |= {client, server}
            back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
            back.start()
            self.serve(client, server)
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            self.connections -= {client, server}

    def serve(self, client: socket.socket, server: socket.socket) -> None:
        self._pass_on(client, server)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while packet := source.recv(2**16):
                time.sleep(self.delay)
                if not self.is_silent:
                    target.sendall(packet)
            target.shutdown(socket.SHUT_RDWR)


@dataclass
class Guard(Network):
    """Asks for a password and refuses what a user may not do, in MongoDB's protocol and words.

    It does the server's part of SCRAM (RFC 5802), as MongoDB has it, so that the driver's own part
    is in the tests.

    Attributes:
        user: who may come in.
        password: with which password.
        refuses: the commands that this user may not use.
        reason: what they are answered, as error code and message.
    """

    user: str = "me"
    password: str = "secret"  # noqa: S105
    refuses: frozenset[str] = frozenset()
    reason: tuple[int, str] = (13, "not authorized on {db} to execute command {{ {name}: 1 }}")

    def serve(self, client: socket.socket, server: socket.socket) -> None:
        session = _Login(self.user, self.password)
        with suppress(OSError):
            while message := _read_message(client):
                answer = self._answer(message, session)
                if answer is None:
                    server.sendall(message)
                else:
                    client.sendall(_reply(message, answer))

    def _answer(self, message: bytes, session: "_Login") -> dict | None:
        """What the guard says, None to let the message through."""
        command = _command(message)
        if command is None:
            return None
        name = next(iter(command))
        if name in ("saslStart", "saslContinue"):
            return session.step(command)
        if name in ("hello", "isMaster", "ismaster", "ping"):
            return None
        if not session.is_open:
            return _error(13, f"Command {name} requires authentication")
        if name in self.refuses:
            code, text = self.reason
            return _error(code, text.format(db=command["$db"], name=name))
        return None


class _Login:
    """The server's part of SCRAM for one connection."""

    def __init__(self, user: str, password: str) -> None:
        self.user, self.password = user, password
        self.is_open = False
        self._digest = "sha256"
        self._said = ""
        self._salt = os.urandom(16)

    def step(self, command: dict) -> dict:
        payload = command["payload"].decode()
        if "saslStart" in command:
            self._digest = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}[command["mechanism"]]
            first = payload.removeprefix("n,,")
            nonce = _parts(first)["r"] + base64.b64encode(os.urandom(12)).decode()
            salt = base64.b64encode(self._salt).decode()
            challenge = f"r={nonce},s={salt},i={ITERATIONS}"
            self._said = f"{first},{challenge}"
            return {"conversationId": 1, "done": False, "payload": challenge.encode(), "ok": 1.0}
        return self._finish(payload)

    def _finish(self, payload: str) -> dict:
        without_proof, _, proof = payload.rpartition(",p=")
        said = f"{self._said},{without_proof}".encode()
        salted = hashlib.pbkdf2_hmac(self._digest, self._secret(), self._salt, ITERATIONS)
        stored = hashlib.new(self._digest, self._mac(salted, b"Client Key")).digest()
        pairs = zip(base64.b64decode(proof), self._mac(stored, said), strict=True)
        client_key = bytes(one ^ other for one, other in pairs)
        right = hashlib.new(self._digest, client_key).digest() == stored
        if not right or _parts(self._said)["n"] != self.user:
            return _error(18, "Authentication failed.")
        self.is_open = True
        signature = self._mac(self._mac(salted, b"Server Key"), said)
        verifier = b"v=" + base64.b64encode(signature)
        return {"conversationId": 1, "done": True, "payload": verifier, "ok": 1.0}

    def _secret(self) -> bytes:
        if self._digest == "sha256":
            return self.password.encode()
        # as MongoDB has it for SCRAM-SHA-1
        text = f"{self.user}:mongo:{self.password}".encode()
        return hashlib.md5(text, usedforsecurity=False).hexdigest().encode()

    def _mac(self, key: bytes, text: bytes) -> bytes:
        return hmac.new(key, text, self._digest).digest()


@contextmanager
def listening(network: Network) -> Iterator[Network]:
    """A network, or a guard, in front of a server, on a port of its own."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                network.connect(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        network.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield network
        finally:
            network.cut()
            server.shutdown()
            thread.join()


def port_of(uri: str) -> int:
    return int(uri.rpartition(":")[2].partition("/")[0])


def _parts(text: str) -> dict[str, str]:
    return {part[0]: part[2:] for part in text.split(",")}


def _error(code: int, message: str) -> dict:
    return {"ok": 0.0, "errmsg": message, "code": code}


def _read_message(connection: socket.socket) -> bytes:
    """The next message, empty if the other side has left."""
    start = _exactly(connection.recv, 4)
    if not start:
        return b""
    (length,) = struct.unpack("<i", start)
    return start + _exactly(connection.recv, length - 4)


def _exactly(receive: Callable[[int], bytes], n_bytes: int) -> bytes:
    content = b""
    while len(content) < n_bytes:
        packet = receive(n_bytes - len(content))
        if not packet:
            return b""
        content += packet
    return content


def _command(message: bytes) -> dict | None:
    """The command in a message: the document in the section of kind 0, after 4 bytes of flags."""
    if HEADER.unpack_from(message)[3] != OP_MSG:
        return None
    position = HEADER.size + 4
    while position < len(message):
        kind = message[position]
        (size,) = struct.unpack_from("<i", message, position + 1)
        if kind == 0:
            return bson.decode(message[position + 1 : position + 1 + size])
        position += 1 + size
    return None


def _reply(message: bytes, document: dict) -> bytes:
    body = struct.pack("<i", 0) + b"\0" + bson.encode(document)
    number = HEADER.unpack_from(message)[1]
    return HEADER.pack(HEADER.size + len(body), 1, number, OP_MSG) + body
