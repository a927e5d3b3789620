#!/usr/bin/env python3
"""What members cost the scheduler's daemon that do nothing: CPU and memory with and without them.

usage: bench/scheduler_members.py [MEMBERS [SECONDS]]   (from the source folder, after tools/build)

The daemon is a real one. The members are simulated, fifty to a process, each with its own connection, joined by
the daemons' own code (bench/members.cpp). Three settings: no encryption and next to no heartbeats, no encryption,
mutual TLS behind the gate.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = str(SOURCE / "build" / "skippipe")
MEMBERS = str(SOURCE / "build" / "bench_members")
EACH = 50


def cpu_seconds(pid):
    fields = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid):
    for line in open("/proc/%d/status" % pid):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def share(pid, seconds):
    before, begin = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - begin)


def make_keys(folder, count):
    names = ["scheduler"] + ["member-%d" % i for i in range(count)]
    subprocess.run([PROGRAM, "certs", "init", "--dir", "keys"], cwd=folder, check=True, capture_output=True)
    subprocess.run([PROGRAM, "certs", "issue", *names, "--dir", "keys"], cwd=folder, check=True, capture_output=True)


def measure(folder, label, count, seconds, detect, tls):
    keys = folder / "keys"
    config = '[node]\nname = "scheduler"\ndir = "state-%s"\n[scheduler]\nenabled = true\ndedicated = true\n' % tls
    config += "[failure]\ndetect_within_s = %s\n" % detect
    if tls:
        config += '[security]\nmode = "tls"\n' + "".join(
            '%s = "%s/scheduler/%s.pem"\n' % (key, keys, key) for key in ("ca", "certificate", "key"))
    (folder / "node.toml").write_text(config)
    daemon = subprocess.Popen([PROGRAM, "node", "--config", "node.toml"], cwd=folder, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    children = []
    try:
        control = json.loads(daemon.stdout.readline().split(" ", 1)[1])["control"]
        alone_mb, alone = resident_mb(daemon.pid), share(daemon.pid, seconds / 3)
        begin, before = time.monotonic(), cpu_seconds(daemon.pid)
        for first in range(0, count, EACH):
            words = [MEMBERS, control, str(first), str(min(EACH, count - first)), str(detect)]
            children.append(subprocess.Popen(words + ([str(keys)] if tls else []), stdin=subprocess.PIPE,
                                             stdout=subprocess.PIPE, text=True))
        for child in children:
            assert child.stdout.readline().startswith("joined"), "a member could not join"
        took, spent = time.monotonic() - begin, cpu_seconds(daemon.pid) - before
        time.sleep(3)  # Their first questions for the clock come in quick succession.
        busy, mb = share(daemon.pid, seconds), resident_mb(daemon.pid)
        listed = subprocess.run([PROGRAM, "nodes", "--json", "--cluster", control], cwd=folder, capture_output=True,
                                text=True, check=True)
        ready = sum(node["state"] == "ready" for node in json.loads(listed.stdout)["nodes"]) - 1
        assert ready == count, "%d of %d are members" % (ready, count)
        print("| %s | %d | %.1f s, %.1f s of CPU | %.2f %% | %.2f %% | %.0f | %.0f |"
              % (label, count, took, spent, 100 * alone, 100 * busy, alone_mb, mb), flush=True)
    finally:
        for child in children:
            child.stdin.close()
            child.wait(60)
        daemon.terminate()
        daemon.wait(60)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 30
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.environ["XDG_STATE_HOME"] = str(folder / "client")
        make_keys(folder, count)
        print("| setting | members | all joined after | alone, of a core | with them | alone MB | with them MB |")
        print("|---|---|---|---|---|---|---|")
        measure(folder, "hardly any heartbeats", count, seconds, 3600, False)
        measure(folder, "heartbeats every 0.5 s", count, seconds, 4, False)
        measure(folder, "the same over TLS", count, seconds, 4, True)


main()
