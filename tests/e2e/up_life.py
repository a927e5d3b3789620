#!/usr/bin/env python3
"""`up` and its daemons: whose folder it takes, what it says when one dies, how it ends.

usage: up_life.py SKIPPIPE SOURCE_DIR
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from local_cluster import refused, run


def other_clusters(program, folder):
    """The folder of a cluster is no other's."""
    before = (folder / "runs/cluster/scheduler.toml").read_text()
    line = refused(folder, program, "up", "cluster.toml", "--set", "cluster.name=other")
    assert line == "skippipe: %s: holds the cluster 'local', not 'other'; choose another cluster.dir, or the name " \
        "'local'\n" % (folder / "runs/cluster"), line
    assert (folder / "runs/cluster/scheduler.toml").read_text() == before


def restart_line(process):
    """The command that `up` gives, as words."""
    line = process.stdout.readline()
    assert line.startswith("  to start it again: "), line
    return line.split(": ", 1)[1].split()


def deaths(program, folder):
    """Whoever dies is reported with its own reason; with the last daemon `up` ends."""
    process = subprocess.Popen([program, "up", "cluster.toml"], cwd=folder, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    while "Ctrl-C stops it" not in process.stdout.readline():
        pass
    listed = run(folder, program, "nodes", "--json", "--cluster",
                 next((folder / "state/skippipe/clusters").iterdir()).name)
    nodes = {node["name"]: node for node in json.loads(listed.stdout)["nodes"]}
    pids = {name: node["pid"] for name, node in nodes.items()}
    os.kill(pids["node-2"], signal.SIGKILL)
    line = process.stdout.readline()
    assert line == "node-2 has ended with status 137 (killed by signal 9)\n", line
    # The command that is given starts them again, the scheduler where it was.
    os.kill(pids["scheduler"], signal.SIGKILL)
    restarts = [restart_line(process)]
    assert process.stdout.readline().startswith("scheduler has ended with status 137")
    restarts.append(restart_line(process))
    fresh = [subprocess.Popen(words, cwd=folder / "state", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
             for words in restarts]
    ready = json.loads(fresh[1].stdout.readline()[6:])  # The other one is ready only where it finds this one.
    assert ready["control"] == nodes["scheduler"]["control"], (ready, nodes["scheduler"])
    assert fresh[0].stdout.readline().startswith("READY ")
    for one in fresh:
        one.send_signal(signal.SIGINT)
        assert one.wait(60) == 0
        one.stdout.close()
    os.kill(pids["node-1"], signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and err == "skippipe: all daemons have ended, and the cluster with them\n", err


def wordless(program, folder):
    """A line that others wrote, or that is no reason, is not given as one."""
    place = folder / "wordless"
    (place / "runs/cluster").mkdir(parents=True)
    shutil.copy(program, place / "skippipe")
    (place / "skippipe-engine").write_text("#!/bin/sh\necho a line of the log >&2\nexit 1\n")
    (place / "skippipe-engine").chmod(0o755)
    (place / "runs/cluster/scheduler.log").write_text("skippipe: of an earlier life\n")
    shutil.copy(folder / "cluster.toml", place)
    line = refused(place, place / "skippipe", "up", "cluster.toml")
    log = place / "runs/cluster/scheduler.log"
    assert line == "skippipe: scheduler has ended with status 1; its log is %s\n" % log, line


def ignored(program, folder):
    """Started by a script's `up &`, that is with SIGINT ignored, it ends by it with all its daemons."""
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN), "cwd": folder, "text": True}
    process = subprocess.Popen([program, "up", "cluster.toml", "--json"], stdout=subprocess.PIPE, **ignore)
    try:
        for node in json.loads(process.stdout.readline())["nodes"]:
            status = pathlib.Path("/proc/%d/status" % node["pid"]).read_text()
            mask = int(re.search("^SigIgn:\\s*([0-9a-f]+)", status, re.M).group(1), 16)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                assert not mask >> (number - 1) & 1, status
    finally:
        process.send_signal(signal.SIGINT)
        ended = process.wait(60)
        process.stdout.close()
    assert ended == 0
    # A daemon that loses the first is told again.
    place = folder / "deaf"
    place.mkdir()
    shutil.copy(program, place / "skippipe")
    (place / "skippipe-engine").write_text("""#!/usr/bin/env python3
import json, signal, sys
numbers = {signal.SIGTERM, signal.SIGINT}
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
scheduler = sys.argv[-1].endswith("scheduler.toml")
print("READY", json.dumps({"control": "127.0.0.1:9"}), flush=True)
for _ in range(1 if scheduler else 2):
    signal.sigwait(numbers)
""")
    (place / "skippipe-engine").chmod(0o755)
    shutil.copy(folder / "cluster.toml", place)
    process = subprocess.Popen([place / "skippipe", "up", "cluster.toml"], stdout=subprocess.PIPE, **dict(ignore, cwd=place))
    while "Ctrl-C stops it" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    assert process.wait(40) == 0
    process.stdout.close()


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        (folder / "cluster.toml").write_text((source / "configs/local-cluster.toml").read_text()
                                             .replace("../runs", "runs").replace("nodes = 9", "nodes = 3")
                                             .replace('backend = "ucx"', 'backend = "tls"'))
        deaths(program, folder)
        other_clusters(program, folder)
        wordless(program, folder)
        ignored(program, folder)


main()
