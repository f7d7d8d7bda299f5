#!/usr/bin/env python3
"""A TCP connection that was: both ends are sockets of named namespaces, and who is between them remembers it.

usage: converse.py CLIENT PORT ADDR:PORT SERVER ADDR:PORT [open]
       CLIENT asks the first ADDR:PORT from its PORT, and SERVER answers at the second. The server closes first; with `open` both
       forget the connection without a word.
"""
import os
import socket
import sys

sys.dont_write_bytecode = True
from network import setns  # noqa: E402

TCP_REPAIR = 19


def socket_of(place, home, where):
    with open('/run/netns/' + place) as namespace:
        setns(namespace.fileno())
    try:
        s = socket.socket()
        s.settimeout(5)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(where)
        return s
    finally:
        setns(home)


def end(text):
    addr, port = text.rsplit(':', 1)
    return addr, int(port)


def main(client, port, virtual, server, real, how='closed'):
    home = os.open('/proc/self/ns/net', os.O_RDONLY)
    listener = socket_of(server, home, end(real))
    listener.listen()
    asking = socket_of(client, home, ('0.0.0.0', int(port)))
    asking.connect(end(virtual))
    answering, _ = listener.accept()
    if how == 'open':
        for s in (asking, answering):
            s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    answering.close()
    if how != 'open':
        asking.recv(1)
    asking.close()
    listener.close()


main(*sys.argv[1:])
