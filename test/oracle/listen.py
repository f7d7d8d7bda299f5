#!/usr/bin/env python3
"""A process that listens, under a program's name.

usage: listen.py PROGRAM PROTO/ADDR[%DEVICE]:PORT...      PROTO is tcp or udp, ADDR an IPv4 address or [an IPv6 one]; [::] takes
       IPv4, too, unless it is followed by `only`. It returns when all sockets are there, and leaves a process behind that holds them.
"""
import ctypes
import os
import re
import signal
import socket
import sys

PR_SET_NAME = 15


def listening(text):
    proto, host6, host4, device, only, port = re.fullmatch(r'(tcp|udp)/(?:\[(.*?)\]|([\d.]+))(?:%(\w+))?(only)?:(\d+)', text).groups()
    s = socket.socket(socket.AF_INET6 if host6 else socket.AF_INET, socket.SOCK_STREAM if proto == 'tcp' else socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if host6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only is not None)
    elif device:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    s.bind((host6, int(port), 0, socket.if_nametoindex(device) if device else 0) if host6 else (host4, int(port)))
    if proto == 'tcp':
        s.listen(128)
    return s


def main(program, *sockets):
    ctypes.CDLL(None).prctl(PR_SET_NAME, program.encode(), 0, 0, 0)
    held = [listening(text) for text in sockets]
    if os.fork() == 0:
        os.setsid()
        for fd in (0, 1, 2):
            os.close(fd)                                             # whoever reads the output of our parent waits for its end
        while held:
            signal.pause()


if __name__ == '__main__':
    main(*sys.argv[1:])
