#!/usr/bin/env python3
"""What a newcomer runs into: a device that is not there, a run folder that is taken, a cluster that is up already,
daemons that die, and how the tools answer --help.

usage: first_steps.py SKIPPIPE SOURCE_DIR
"""
import fcntl
import json
import os
import pathlib
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios

from local_cluster import TINY_MODEL, Cluster, prepare_data, refused, run, wait_until

JOB = TINY_MODEL + """
[job]
name = "first"
[pipeline]
stages = 2
microbatches_per_origin = 2
microbatch_size = 2
[train]
total_iterations = %d
eval_batches = 1
[data]
dir = "data"
[cluster]
nodes = 2
"""


def contents(folder):
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def devices(program, folder):
    """One line before anything starts."""
    line = refused(folder, program, "train", "two.toml", "--set", "cluster.device=cuda:99")
    assert "cluster.device = 'cuda:99': LibTorch finds " in line, line
    for more in ([], ["--config", "node.toml", "--check"]):
        done = run(folder, program, "node", *more, "--set", "node.device=cuda:99")
        assert done.returncode == 1 and "READY" not in done.stdout and done.stderr.count("\n") == 1, done
        assert "node.device = 'cuda:99': LibTorch finds " in done.stderr, done
    assert not (folder / ".skippipe").exists() and not (folder / "runs").exists()


def run_folders(program, folder):
    """A run is never mixed with another."""
    taken = folder / "taken"
    assert run(folder, program, "train", "two.toml", "--run-dir", "taken").returncode == 0
    before = contents(taken)
    line = refused(folder, program, "train", "two.toml", "--run-dir", "taken")
    assert "taken: holds a run already; go on with --resume taken, or choose another folder" in line, line
    assert contents(taken) == before, "a refusal changes nothing"
    # Nor with what is no run.
    other = folder / "other"
    other.mkdir()
    (other / "letter.txt").write_text("of somebody's own")
    before = contents(other)
    line = refused(folder, program, "train", "two.toml", "--run-dir", "other")
    assert line == "skippipe: other: holds something else than a run; choose an empty or a new folder with --run-dir\n"
    assert contents(other) == before, "a refusal changes nothing"
    (folder / "empty").mkdir()
    assert run(folder, program, "train", "two.toml", "--run-dir", "empty").returncode == 0
    # Without a checkpoint there is nothing to go on from: what is left makes room.
    died = folder / "died"
    (died / "trace").mkdir(parents=True)
    (died / "trace" / "node-0.trace").write_text("old")
    (died / "journal").write_text("old\n")
    done = run(folder, program, "train", "two.toml", "--run-dir", "died")
    assert done.returncode == 0 and "died/earlier-1" in done.stdout + done.stderr, done
    assert (died / "earlier-1/trace/node-0.trace").read_text() == "old"
    assert (died / "earlier-1/journal").read_text() == "old\n" and "old" not in (died / "journal").read_text()


def stopped_at_once(program, folder):
    """The second Ctrl-C says what is left of the run."""
    for every, left in ((0, "stopped at once; gone is left without a checkpoint and can be removed"),
                        (1, "stopped at once; to go on from the newest checkpoint: skippipe train long.toml "
                            "--set checkpoint.every=1 --resume gone")):
        process = subprocess.Popen([program, "train", "long.toml", "--run-dir", "gone", "--json", "--set",
                                    "checkpoint.every=%d" % every], cwd=folder, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        while json.loads(process.stdout.readline()).get("iteration", 0) < 3:
            pass
        for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):  # Both wait for it.
            process.send_signal(number)
        err = process.communicate(timeout=60)[1]
        assert process.returncode == 130 and err.splitlines()[-1] == left, err


def one_at_a_time(program, folder, where="shared", *cluster):
    """A run folder belongs to one process at a time, also while there is no checkpoint yet."""
    for more in ([], ["--resume", where]):
        process = subprocess.Popen([program, "train", "long.toml", "--json", *(more or ["--run-dir", where])],
                                   cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        while '"iteration"' not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGSTOP)
        done = run(folder, program, "train", "two.toml", *(more or ["--run-dir", where]), *cluster)
        line = done.stderr.splitlines()[-1]
        assert done.returncode == 1 and where + ": another process trains in this run folder; stop it, or " in line, done
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=60)
        assert process.returncode == 0, process.returncode


def unread(program, folder):
    """Nobody reads any more: the run stops as for Ctrl-C, with a checkpoint."""
    for number, (stop, more) in enumerate(((False, ["--json"]), (True, ["--json"]), (True, []))):
        where = "unread-%d" % number
        process = subprocess.Popen([program, "train", "long.toml", "--run-dir", where, *more], cwd=folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not re.search('"iteration"|^iteration ', process.stdout.readline()):
            pass
        process.stdout.close()
        if stop:
            process.send_signal(signal.SIGINT)
        err = process.stderr.read().splitlines()
        assert process.wait(timeout=60) == 1, (process.returncode, err)
        said = re.fullmatch(r"skippipe: standard output cannot be written: Broken pipe; done after iteration (\d+); "
                            "checkpoint (.*); to go on: skippipe train long.toml --resume (.*)", err[-1])
        assert said and said[3] == where and said[2].endswith("%08d" % int(said[1])), err
        assert run(folder, program, "checkpoint", "verify", said[2]).returncode == 0
        on = run(folder, program, "train", "long.toml", "--resume", where, "--iterations", int(said[1]) + 1)
        assert on.returncode == 0, on


def resumed(program, folder):
    """What is said of a resumed run: no course of one validation, and whether there is anything to do."""
    for more, course in ((["--run-dir", "more"], True), (["--resume", "more", "--iterations", "5"], False)):
        done = run(folder, program, "train", "two.toml", *more)
        assert done.returncode == 0 and ("validation loss: from " in done.stdout) == course, done
        assert "nothing to train" not in done.stderr, done
    done = run(folder, program, "train", "two.toml", "--resume", "more")
    assert done.returncode == 0 and done.stderr == "nothing to train: iteration 3, the last one, is done; " \
        "--iterations takes a later one\n", done


def drawn_over(program, folder):
    """A terminal that knows no escape sequences gets none."""
    for kind, drawn in (("xterm", True), ("dumb", False), ("", False)):
        reader, writer = pty.openpty()
        with subprocess.Popen([program, "train", "two.toml", "--run-dir", "drawn-" + kind], cwd=folder, stdout=writer,
                              env={**os.environ, "TERM": kind}) as process:
            os.close(writer)
            text = b""
            try:
                while part := os.read(reader, 4096):
                    text += part
            except OSError:  # Nobody writes to it any more.
                pass
            os.close(reader)
        assert process.returncode == 0 and (b"\x1b" in text) == drawn, (kind, text)
        assert (b"iteration 3/3 " in text) != drawn, (kind, text)


def watched(program, cluster, folder, kind="xterm"):
    """What `status --watch` writes to a terminal of 4 rows and 40 columns in some seconds."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = kind
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 4, 40, 0, 0))
        os.chdir(folder)
        os.execv(program, [program, "status", "--watch", "--cluster", cluster.control])
    text = b""
    try:
        while text.count(b"cluster local") < 3:
            text += os.read(terminal, 4096)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
    return text.decode()


def clusters(program, source, folder):
    config = folder / "cluster.toml"
    config.write_text((source / "configs/local-cluster.toml").read_text().replace("../runs", "down/../runs")
                      .replace("nodes = 9", "nodes = 3").replace('backend = "ucx"', 'backend = "tls"'))
    with Cluster(program, folder, config) as cluster:
        # Another one in the same folder.
        second = run(folder, program, "up", "cluster.toml")
        assert second.returncode == 1 and second.stdout == "" and second.stderr.count("\n") == 1, second
        assert "scheduler has ended with status 1: " in second.stderr and "another daemon uses" in second.stderr, second
        assert ".." not in second.stderr, second
        nodes = cluster.nodes()
        assert {name: node["pid"] for name, node in nodes.items()} == cluster.pids, nodes
        # By another name of the same address.
        port = cluster.control.rsplit(":", 1)[1]
        there = run(folder, program, "nodes", "--json", "--cluster", "localhost:" + port)
        assert there.returncode == 0 and len(json.loads(there.stdout)["nodes"]) == 3, there
        # On the scheduler's machine, too, a new job takes no folder that is taken.
        line = refused(folder, program, "train", "two.toml", "--run-dir", "taken", "--cluster", cluster.control)
        assert "holds a run already" in line, line
        job = cluster.train("long.toml", "--run-dir", "held")
        job.wait_iteration(2)
        # Nor one in which a job trains, whoever wants it.
        line = refused(folder, program, "train", "two.toml", "--run-dir", "held")
        assert "held: another process trains in this run folder; stop it, or " in line, line
        line = refused(folder, program, "train", "two.toml", "--run-dir", "./held", "--detach", "--cluster",
                       cluster.control)
        assert "held: job '%s' has this run folder; stop it, or " % job.of("submitted")[0]["job"] in line, line
        line = refused(folder, program, "trace", "follow", "--node", "node-7", "--cluster", cluster.control)
        assert "has no node 'node-7', did you mean 'node-" in line, line
        wait_until("there is a trace", lambda: run(folder, program, "trace", "stuck", "--cluster",
                                                   cluster.control).returncode == 0)
        stuck = cluster.run("trace", "stuck")
        assert stuck["stuck"] == [], stuck
        text = watched(program, cluster, folder)
        assert "\x1b" not in watched(program, cluster, folder, "dumb")
        drawn = text.replace("\r\n", "\n").split("\r\x1b[3A\x1b[J")
        assert len(drawn) == 3 and all(max(map(len, one.split("\n"))) <= 40 for one in drawn), text
        plain = subprocess.run([program, "status", "--cluster", cluster.control], cwd=folder, capture_output=True,
                               text=True, timeout=60)
        assert plain.returncode == 0 and "\x1b" not in plain.stdout, plain
        assert re.search(r"^node-\d +1 +[\d.]+ ms +- ", plain.stdout, re.M), plain  # Only stage 0 has losses.
        assert re.search("^node +stage +forward +loss +backward +links ", plain.stdout, re.M), plain
        assert "\nforward, loss, backward: of one microbatch; links: " in plain.stdout, plain
        # Another waits for it; who attaches to either is told what has happened, in that order.
        short = cluster.train("two.toml")
        short.wait_for(lambda e: e["event"] == "note" and "waiting: " in e["text"])
        job.wait_iteration(300)  # More than the scheduler tells again.
        cluster.run("stop", job.of("submitted")[0]["job"])
        job.finish()
        short.finish()
        again = cluster.attach(short.of("submitted")[0]["job"])
        again.finish()
        assert again.events == short.events, (again.events, short.events)
        again = cluster.attach(job.of("submitted")[0]["job"])
        again.finish()
        at = [job.events.index(event) for event in again.events]
        assert at == sorted(set(at)) and 100 < len(at) < 300, again.events  # Of a long one what is recent.
        assert [e["event"] for e in again.events[:2]] == ["submitted", "started"], again.events
        one_at_a_time(program, folder, "both", "--cluster", cluster.control)
        return cluster.control


def ports(program, folder, control):
    """`up` comes back at the port that it had, unless that is another's by now."""
    with Cluster(program, folder, "cluster.toml") as cluster:
        assert cluster.control == control, (cluster.control, control)
        cluster.kill("node-2", signal.SIGINT)
        wait_until("the node is gone", lambda: cluster.nodes()["node-2"]["state"] == "failed")
        assert "its daemon was stopped" in json.dumps(cluster.nodes()["node-2"]), cluster.nodes()
        cluster.run("drain", "node-1")
    assert cluster.rest[1] == "", cluster.rest
    # The last line of each is how it has ended.
    for name, line in (("scheduler", "stopped"), ("node-1", "left the cluster: drained"), ("node-2", "stopped")):
        log = (folder / "runs/cluster" / (name + ".log")).read_text()
        assert log.endswith(" " + line + "\n"), log[-500:]
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(control.rsplit(":", 1)[1])))
        other.listen()
        with Cluster(program, folder, "cluster.toml") as cluster:
            assert cluster.control != control, control
        assert cluster.rest[1] == "skippipe: note: port %s, this cluster's so far, is another's now\n" \
            % control.rsplit(":", 1)[1], cluster.rest
    with Cluster(program, folder, "cluster.toml", ["node.listen=" + control]) as cluster:
        assert cluster.control == control, (cluster.control, control)
    assert cluster.rest[1] == "", cluster.rest


def tools(source):
    for tool in ("test", "demo"):
        help_text = run(source, source / "tools" / tool, "--help")
        assert help_text.returncode == 0 and "Usage: tools/" + tool in help_text.stdout, help_text
        unknown = run(source, source / "tools" / tool, "--hlep")
        assert unknown.returncode == 2 and "unknown option '--hlep'" in unknown.stderr, unknown


def private_keys(source):
    """What the first commands make in a checkout is not taken into it."""
    if (source / ".git").exists():
        for made in ("keys/ca.key", ".skippipe/node/lock"):
            assert run(source, "git", "check-ignore", "-q", made).returncode == 0, made


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        prepare_data(program, source, folder / "data")
        (folder / "two.toml").write_text(JOB % 3)
        (folder / "long.toml").write_text(JOB % 100000)
        (folder / "node.toml").write_text('[node]\nname = "a"\n')
        tools(source)
        private_keys(source)
        devices(program, folder)
        run_folders(program, folder)
        stopped_at_once(program, folder)
        one_at_a_time(program, folder)
        unread(program, folder)
        resumed(program, folder)
        drawn_over(program, folder)
        ports(program, folder, clusters(program, source, folder))


main()
