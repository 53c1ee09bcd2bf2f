"""A chat room in the style of the tutorials: select, and sendall in turn.

Prints its address as a JSON list, and a line for each line of its input.
"""
import gc
import json
import select
import socket
import sys

HEADER_LENGTH = 10


def receive(client):
    """Returns one frame, header and all, or None at the end."""
    frame = b""
    want = HEADER_LENGTH
    while len(frame) < want:
        part = client.recv(want - len(frame))
        if not part:
            return None
        frame += part
        if len(frame) == HEADER_LENGTH:
            want = HEADER_LENGTH + int(frame)
    return frame


listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 0))
listener.listen(1024)
print(json.dumps(["127.0.0.1:%d" % listener.getsockname()[1]]), flush=True)

names = {}
while True:
    readable, _, _ = select.select([sys.stdin.buffer, listener, *names], [], [])
    for sock in readable:
        if sock is sys.stdin.buffer:
            if not sys.stdin.buffer.raw.read(4096):
                sys.exit()
            gc.collect()
            print(flush=True)
        elif sock is listener:
            client, _ = listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            name = receive(client)
            if name is None:
                client.close()
            else:
                names[client] = name
        else:
            try:
                message = receive(sock)
            except OSError:
                message = None
            if message is None:
                del names[sock]
                sock.close()
                continue
            for other in names:
                if other is not sock:
                    other.sendall(names[sock] + message)
