#!/usr/bin/env python3
"""Ports of loopback that nobody listens on, and that nobody is given by chance before they are used.

free_ports.py N

They are below those that the system itself hands out, to listeners that ask for any port and to outgoing connections.
"""
import random
import socket
import sys


def free_ports(count):
    found = []
    for port in random.sample(range(20000, 32768), 1000):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise SystemExit("free_ports: every port is taken")


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1])))
