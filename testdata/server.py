"""A chat room the way it is usually taught: select, blocking reads, no buffers.

Usage: python3 server.py HOST PORT

Port 0 picks a free one. The first line printed is the address; each line after
it is "+NAME" for a client that joined or "-NAME" for one that left.
"""

import select
import socket
import sys

HEADER_LENGTH = 10


def receive_frame(sock):
    """Return the next frame as (header, payload), or None for a client to drop.

    Each part is read with one blocking recv, which assumes that it has arrived
    in one piece. It usually has.
    """
    try:
        header = sock.recv(HEADER_LENGTH)
        if not header:
            return None
        return header, sock.recv(int(header.decode("utf-8").strip()))
    except (OSError, ValueError):  # reset, or no number in the header
        return None


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    server = socket.create_server((host, port))
    print("{}:{}".format(*server.getsockname()), flush=True)
    clients = {}  # socket -> its name frame

    def drop(sock):
        _, name = clients.pop(sock)
        sock.close()
        print("-" + name.decode("utf-8", "replace"), flush=True)

    while True:
        readable, _, _ = select.select([server, *clients], [], [])
        for sock in readable:
            if sock is server:
                client, _ = server.accept()
                # Everybody waits here for the newcomer's name.
                name = receive_frame(client)
                if name is None:
                    client.close()
                    continue
                clients[client] = name
                print("+" + name[1].decode("utf-8", "replace"), flush=True)
                continue
            if sock not in clients:  # dropped earlier in this round
                continue
            message = receive_frame(sock)
            if message is None:
                drop(sock)
                continue
            # Headers go out as they came in, and a pair in one piece.
            pair = b"".join(clients[sock] + message)
            for other in set(clients) - {sock}:
                try:
                    other.sendall(pair)
                except OSError:
                    drop(other)


if __name__ == "__main__":
    main()
