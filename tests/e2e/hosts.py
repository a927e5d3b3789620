"""Hosts of their own on one machine, for tests: network namespaces joined by a bridge with limited rates, or
by a relay in user space that delays every frame. Needs root, `ip` and /dev/net/tun; all that is made is removed."""
import ctypes
import fcntl
import heapq
import os
import select
import struct
import subprocess
import threading
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000


def sh(*words):
    subprocess.run(words, check=True, capture_output=True)


def missing():
    """Why hosts cannot be made here; nothing where they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    probe = "skp%d" % os.getpid()
    try:
        sh("ip", "netns", "add", probe)
        sh("ip", "netns", "del", probe)
    except FileNotFoundError:
        return "the program ip (package iproute2) is missing"
    except subprocess.CalledProcessError as problem:
        return "network namespaces cannot be made: " + problem.stderr.decode().strip()
    if not os.path.exists("/dev/net/tun"):
        return "/dev/net/tun is missing"
    return ""


class Hosts:
    """`count` hosts with the addresses 10.77.0.1, 10.77.0.2, ... at eth0; `mbit` limits each one's sending; `delay`
    seconds: every frame takes so long. Joined by a bridge they have 10.78.0.1, ... at eth1, too, on a network of
    its own."""

    def __init__(self, count, mbit=None, delay=None):
        self.names = ["sk%d-%d" % (os.getpid() % 100000, i) for i in range(count)]
        self.addresses = ["10.77.0.%d" % (i + 1) for i in range(count)]
        self.others = ["10.78.0.%d" % (i + 1) for i in range(count)] if delay is None else []
        self.bridge = None
        self.relay = None
        try:
            for name in self.names:
                sh("ip", "netns", "add", name)
                sh("ip", "-n", name, "link", "set", "lo", "up")
            if delay is None:
                self._join_by_bridge(mbit)
            else:
                self.relay = Relay(self.names, delay)
            for device, addresses in ("eth0", self.addresses), ("eth1", self.others):
                for name, address in zip(self.names, addresses):
                    sh("ip", "-n", name, "addr", "add", address + "/24", "dev", device)
                    sh("ip", "-n", name, "link", "set", device, "up")
        except BaseException:
            self.close()
            raise

    def _join_by_bridge(self, mbit):
        # The bridge has a namespace of its own, so that nothing of the machine's network is touched.
        self.bridge = self.names[0][:-2] + "-br"
        sh("ip", "netns", "add", self.bridge)
        for device, bridge in ("eth0", "br0"), ("eth1", "br1"):
            sh("ip", "-n", self.bridge, "link", "add", bridge, "type", "bridge")
            sh("ip", "-n", self.bridge, "link", "set", bridge, "up")
            for i, name in enumerate(self.names):
                port = "%s-p%d" % (bridge, i)
                sh("ip", "-n", self.bridge, "link", "add", port, "type", "veth", "peer", "name", device, "netns", name)
                sh("ip", "-n", self.bridge, "link", "set", port, "master", bridge, "up")
            if mbit:
                self.limit(device, mbit)

    def limit(self, device, mbit, hosts=None):
        """What each of `hosts` (all) sends through `device`."""
        for name in self.names if hosts is None else [self.names[i] for i in hosts]:
            sh("ip", "netns", "exec", name, "tc", "qdisc", "replace", "dev", device, "root", "tbf", "rate",
               "%dmbit" % mbit, "burst", "256kb", "latency", "400ms")

    def sent(self, host, device):
        """Bytes so far."""
        shown = subprocess.run(self.command(host, "cat", "/sys/class/net/%s/statistics/tx_bytes" % device), check=True,
                               capture_output=True, text=True)
        return int(shown.stdout)

    def command(self, host, *words):
        return ["ip", "netns", "exec", self.names[host], *words]

    def close(self):
        if self.relay:
            self.relay.close()
        for name in self.names + ([self.bridge] if self.bridge else []):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Relay:
    """A switch between TAP devices, one in each namespace, that holds every frame back for `delay` seconds."""

    def __init__(self, names, delay):
        self.delay, self.taps = delay, []
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            for name in names:
                there = os.open("/var/run/netns/" + name, os.O_RDONLY)
                if libc.setns(there, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
                os.close(there)
                tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
                fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TAP | IFF_NO_PI))
                self.taps.append(tap)
        finally:
            libc.setns(home, CLONE_NEWNET)
            os.close(home)
        self.stop_read, self.stop_write = os.pipe()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        homes, waiting, number = {}, [], 0
        while True:
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, _, frame, source = heapq.heappop(waiting)
                target = homes.get(frame[:6])
                for tap in [target] if target is not None else self.taps:
                    if tap != source:
                        try:
                            os.write(tap, frame)
                        except OSError:
                            pass  # Its queue is full or it is down: frames may be lost.
            patience = max(0, waiting[0][0] - now) if waiting else None
            ready, _, _ = select.select(self.taps + [self.stop_read], [], [], patience)
            if self.stop_read in ready:
                return
            now = time.monotonic()
            for tap in ready:
                for _ in range(64):
                    try:
                        frame = os.read(tap, 65536)
                    except OSError:
                        break
                    homes[frame[6:12]] = tap
                    number += 1
                    heapq.heappush(waiting, (now + self.delay, number, frame, tap))

    def close(self):
        os.write(self.stop_write, b"x")
        self.thread.join()
        for tap in self.taps:
            os.close(tap)
