"""Answers that are none: what a server can say on a bare connection."""

import socket

from tests.client.foreign import Answer

HUGE, PIECE = 100_000_000, b" " * 65_536


def says(words: bytes, *, then_waits: bool = False) -> Answer:
    """So many bytes, and then the connection is closed, or left as it is until the other side closes it."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(words)
        if then_waits:
            connection.recv(1)

    return Answer(0, speak=speak)


def pours(status: int = 200, *, told: bool = False, sent: list[int] | None = None) -> Answer:
    """A hundred megabytes; `told`: with their number before them. `sent` gets how many were taken."""

    def speak(connection: socket.socket) -> None:
        length = b"Content-Length: %d\r\n" % HUGE if told else b"Connection: close\r\n"
        connection.sendall(b"HTTP/1.1 %d Some\r\n%s\r\n" % (status, length))
        poured = 0
        try:
            while poured < HUGE:
                connection.sendall(PIECE)
                poured += len(PIECE)
        finally:
            if sent is not None:
                sent.append(poured)

    return Answer(0, speak=speak)
