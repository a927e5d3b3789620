#!/usr/bin/env python3
"""What daemons cost that do nothing: time until all are ready, memory of each, CPU of all together.

usage: bench/cluster_idle.py [DAEMONS [SECONDS]]   (from the source folder, after tools/build)
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


def cpu_seconds(pid):
    fields = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    """Resident MB, and of these what it does not share."""
    sizes = {}
    for line in open("/proc/%d/smaps_rollup" % pid):
        word = line.split()
        if word[0].rstrip(":") in ("Rss", "Private_Dirty", "Private_Clean"):
            sizes[word[0].rstrip(":")] = int(word[1]) / 1024
    return sizes["Rss"], sizes["Private_Dirty"] + sizes["Private_Clean"]


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 30
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "cluster.toml"
        text = (SOURCE / "configs/local-cluster.toml").read_text()
        config.write_text(text.replace("../runs", "runs").replace("nodes = 9", "nodes = %d" % count))
        begin = time.monotonic()
        up = subprocess.Popen([PROGRAM, "up", str(config), "--json"], cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            pids = [node["pid"] for node in json.loads(up.stdout.readline())["nodes"]]
            ready = time.monotonic() - begin
            before = sum(cpu_seconds(pid) for pid in pids)
            time.sleep(seconds)
            share = (sum(cpu_seconds(pid) for pid in pids) - before) / seconds
            sizes = [memory(pid) for pid in pids]
            print("%d daemons ready after %.1f s; idle: %.2f %% of a core together; each at most %.0f MB, %.0f MB of "
                  "its own" % (len(pids), ready, 100 * share, max(s[0] for s in sizes), max(s[1] for s in sizes)))
        finally:
            up.terminate()
            up.wait(120)


main()
