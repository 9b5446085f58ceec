#!/usr/bin/env python3
"""A long line between two TUN devices, for kernels without netem: packets of each direction leave one after the other at
the line's rate and arrive the latency later, in order, none lost. latency.sh gives the devices addresses and moves one into
a namespace. Ends with standard input.

line.py NAME-OF-ONE-END NAME-OF-THE-OTHER LATENCY-MS MBIT
"""
import collections
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def device(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


class Direction:
    """What is under way from one device to the other."""

    def __init__(self, source, target, latency, rate):
        self.source, self.target, self.latency, self.rate = source, target, latency, rate
        self.under_way = collections.deque()
        self.free_at = 0.0

    def take(self):
        """Takes what the source has; each packet keeps the line busy for its length."""
        for _ in range(64):
            try:
                packet = os.read(self.source, 65536)
            except OSError:  # empty, or the device is down
                return
            self.free_at = max(self.free_at, time.monotonic()) + len(packet) / self.rate
            self.under_way.append((self.free_at + self.latency, packet))

    def deliver(self):
        """Hands over what has arrived; the seconds until the next packet does."""
        now = time.monotonic()
        while self.under_way and self.under_way[0][0] <= now:
            try:
                os.write(self.target, self.under_way.popleft()[1])
            except OSError:  # the device is down: nobody is there any more
                pass
        return self.under_way[0][0] - now if self.under_way else None


def main():
    one, other = device(sys.argv[1]), device(sys.argv[2])
    latency, rate = float(sys.argv[3]) / 1000, float(sys.argv[4]) * 1e6 / 8
    directions = {end[0]: Direction(*end, latency, rate) for end in ((one, other), (other, one))}
    print("ready", flush=True)
    while True:
        waits = [wait for wait in (line.deliver() for line in directions.values()) if wait is not None]
        readable, _, _ = select.select([one, other, 0], [], [], min(waits, default=None))
        if 0 in readable:
            return
        for fd in readable:
            directions[fd].take()


main()
