"""A chat client the way it is usually taught: non-blocking reads, no buffers.

Usage: python3 client.py HOST PORT NAME [--follow]

Each line of standard input is sent as a message; each message received is
printed as "name > text". At the end of the input the client leaves, or with
--follow stays until the server hangs up. Once any of a name has arrived, the
rest of it and its message must be there too: nothing half read is kept, so the
client gives up with exit status 1 before it loses its place in the stream.
"""

import select
import socket
import sys
import threading

HEADER_LENGTH = 10


def frame(payload):
    return f"{len(payload):<{HEADER_LENGTH}}".encode() + payload


def take_payload(sock, header):
    if len(header) < HEADER_LENGTH:
        raise ValueError(f"header cut short: {header!r}")
    size = int(header.decode("utf-8").strip())
    payload = sock.recv(size)
    if len(payload) < size:
        raise ValueError(f"payload cut short: {len(payload)} bytes of {size}")
    return payload.decode("utf-8")


def print_received(sock):
    """Print the messages that are there; return False if the server hung up."""
    while True:
        try:
            header = sock.recv(HEADER_LENGTH)
        except BlockingIOError:
            return True
        if not header:
            return False
        # From here on, BlockingIOError says that the rest is not there.
        name = take_payload(sock, header)
        text = take_payload(sock, sock.recv(HEADER_LENGTH))
        print(f"{name} > {text}", flush=True)


def send_lines(sock, done):
    # Unbuffered: a thread blocked in a buffered read keeps Python from exiting.
    with done, open(0, "rb", buffering=0, closefd=False) as lines:
        for line in lines:
            sock.sendall(frame(line.rstrip(b"\r\n")))


def main():
    host, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    sock = socket.create_connection((host, port))
    sock.setblocking(False)
    sock.sendall(frame(name.encode("utf-8")))
    # Windows cannot select on standard input, so a thread reads it.
    ended, done = socket.socketpair()
    threading.Thread(target=send_lines, args=(sock, done), daemon=True).start()
    watched = [sock] if "--follow" in sys.argv[4:] else [sock, ended]
    while True:
        readable, _, _ = select.select(watched, [], [])
        if sock in readable and not print_received(sock):
            return
        if ended in readable:
            return


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as err:
        sys.exit(f"gave up: {err!r}")
