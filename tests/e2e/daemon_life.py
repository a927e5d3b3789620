#!/usr/bin/env python3
"""A daemon as its operator meets it: checks, readiness, systemd, reload, drain, refusals, spares, queue, metrics.

usage: daemon_life.py SKIPPIPE SOURCE_DIR
"""
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import urllib.request

from local_cluster import SMALL_MODEL, Cluster, Daemon, prepare_data, wait_until

JOB = SMALL_MODEL + """
[job]
name = "life"
[pipeline]
stages = %d
skip_ratio = 0.0
microbatches_per_origin = 2
microbatch_size = 4
strategy = "full"
[train]
total_iterations = %d
eval_batches = 1
[data]
dir = "data"
[cluster]
nodes = %d
"""


class Node:
    """`skippipe node`, perhaps under a supervisor."""

    def __init__(self, program, folder, *words, **environment):
        self.log = folder / ("node-%d.log" % len(list(folder.glob("node-*.log"))))
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([program, "node", *words], cwd=folder, stdout=subprocess.PIPE, stderr=log,
                                            text=True, env=dict(os.environ, **environment))

    def wait_ready(self):
        line = self.process.stdout.readline()
        assert line.startswith("READY "), self.log.read_text()
        return json.loads(line[6:])

    def wait_line(self, text, after=0):
        return wait_until(text, lambda: text in self.log.read_text()[after:])

    def end(self, *signals):
        for number in signals:
            self.process.send_signal(number)
        return self.process.wait(30)


def run(program, folder, *words):
    return subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, timeout=120)


def checks(program, folder):
    """--check names what is wrong, --connect which seed; nothing is started."""
    (folder / "good.toml").write_text('[node]\nname = "a"\ndir = "a"\n')
    done = run(program, folder, "node", "--config", "good.toml", "--check", "--connect")
    assert done.returncode == 0, done
    assert not (folder / "a").exists(), "a check leaves nothing behind"
    (folder / "bad.toml").write_text('[node]\nnmae = "a"\nlisten = "nowhere"\n')
    done = run(program, folder, "node", "--config", "bad.toml", "--check")
    assert done.returncode == 1 and "bad.toml:2:1: node: unknown key 'nmae', did you mean 'name'?" in done.stderr, done
    assert "bad.toml:3:10: node.listen: expected HOST:PORT" in done.stderr, done
    assert run(program, folder, "node", "--config", "bad.toml").returncode == 1
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        silent = "127.0.0.1:%d" % taken.getsockname()[1]  # Nobody listens there.
        (folder / "seed.toml").write_text('[node]\nname = "b"\nseeds = ["%s"]\n' % silent)
        done = run(program, folder, "node", "--config", "seed.toml", "--check", "--connect")
        assert done.returncode == 1 and silent in done.stdout + done.stderr, done
        # Started all the same and stopped, it was never in.
        node = Node(program, folder, "--config", "seed.toml")
        node.wait_line(silent + ": no node of a cluster answers: nobody listens there; trying again")
        assert node.end(signal.SIGTERM) == 0
        log = node.log.read_text()
        assert log.endswith(" b info: stopped before it was in the cluster\n") and "drain" not in log, log


def story(program, folder, job):
    """What the trace of a finished job says of a microbatch."""
    folder = pathlib.Path(json.loads(job.stdout.splitlines()[-1])["checkpoint"]).parents[1]
    told = run(program, folder, "trace", "show", "0", "--iteration", "2", "--run-dir", str(folder))
    return told.stdout + told.stderr


def alone(program, folder):
    """No configuration: a cluster of one on loopback, on which a job runs."""
    node = Node(program, folder)
    ready = node.wait_ready()
    assert ready["control"].startswith("127.0.0.1:") and ready["pid"] == node.process.pid, ready
    (folder / "one.toml").write_text(JOB % (1, 3, 1))
    done = run(program, folder, "train", "one.toml", "--cluster", ready["control"], "--json")
    assert done.returncode == 0 and json.loads(done.stdout.splitlines()[-1])["event"] == "done", done
    # Nobody else can hold a copy.
    jobs = json.loads(run(program, folder, "jobs", "--cluster", ready["control"], "--json").stdout)["jobs"]
    assert jobs[0]["state"] == "done" and jobs[0]["copies"] == [], jobs
    # The same state folder serves one daemon at a time.
    second = run(program, folder, "node")
    assert second.returncode == 1 and second.stderr.count("\n") == 1, second
    assert node.end(signal.SIGTERM) == 0
    assert " B " in story(program, folder, done), story(program, folder, done)
    (folder / "untraced.toml").write_text('[node]\nname = "u"\ndir = "u"\n[trace]\nenabled = false\n')
    node = Node(program, folder, "--config", "untraced.toml")
    control = node.wait_ready()["control"]
    done = run(program, folder, "train", "one.toml", "--cluster", control, "--json")
    assert node.end(signal.SIGTERM) == 0
    assert " B " not in story(program, folder, done), story(program, folder, done)


def unread(program, folder):
    """Whoever follows a job and is read no more leaves it; what is said of going on goes on."""
    node = Node(program, folder)
    control = node.wait_ready()["control"]
    (folder / "on.toml").write_text(JOB % (1, 100000, 1))
    words = ["train", "on.toml", "--cluster", control, "--set", "train.clip=2"]
    start = lambda *words: subprocess.Popen([program, *words], cwd=folder, stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE, text=True)
    def begun(process, begin):
        while not process.stdout.readline().startswith(begin):
            assert process.poll() is None, process.stderr.read()

    follows = start(*words, "--json")
    begun(follows, '{"clip_factor"')
    job = json.loads(run(program, folder, "jobs", "--cluster", control, "--json").stdout)["jobs"][-1]["id"]
    left = "skippipe: standard output cannot be written: Broken pipe; job %s goes on; skippipe attach %s --cluster %s " \
           "follows it again, skippipe stop %s --cluster %s ends it" % (job, job, control, job, control)
    for process in (follows, start("attach", job, "--cluster", control, "--json")):
        process.stdout.readline()
        process.stdout.close()
        code, said = process.wait(30), process.stderr.read().splitlines()
        assert code == 1 and said[-1] == left, (code, said)
    # A command that has the job's file says it in full.
    follows = start("attach", job, "--cluster", control)
    begun(follows, "iteration ")
    run(program, folder, "stop", job, "--cluster", control)
    said = follows.communicate(timeout=60)[0].splitlines()[-1]
    begin = "to go on: with the job's file, skippipe train JOB.toml --cluster %s --resume /" % control
    assert said.startswith(begin), said
    follows = start(*words)
    begun(follows, "iteration ")
    job = json.loads(run(program, folder, "jobs", "--cluster", control, "--json").stdout)["jobs"][-1]["id"]
    run(program, folder, "stop", job, "--cluster", control)
    said = follows.communicate(timeout=60)[0].splitlines()
    begin = "to go on: skippipe train on.toml --set train.clip=2 --cluster %s --resume /" % control
    assert said[-1].startswith(begin), said
    at = int(re.search(r"done after iteration (\d+); ", said[-2])[1])
    again = shlex.split(said[-1].split(": ", 1)[1])
    on = run(program, folder, *again[1:], "--iterations", str(at + 1))
    assert on.returncode == 0 and "resumed after iteration %d\n" % at in on.stdout, on
    # A terminal shows a table that fits, a file all of it.
    whole = run(program, folder, "jobs", "--cluster", control).stdout
    shown = on_terminal(80, [program, "jobs", "--cluster", control], folder)
    assert max(map(len, whole.splitlines())) > 80 >= max(map(len, shown.splitlines())), (whole, shown)
    assert "  ..." in shown and "..." not in whole and len(shown.splitlines()) == len(whole.splitlines()), (whole, shown)
    assert node.end(signal.SIGTERM) == 0


def on_terminal(columns, words, folder):
    """What a command writes to a terminal that wide."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.chdir(folder)
        os.execv(words[0], words)
    text = b""
    try:
        while part := os.read(terminal, 4096):
            text += part
    except OSError:  # Nobody writes to it any more.
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, text
    return text.decode().replace("\r\n", "\n")


def taken_ports(program, folder):
    """Where a port is another's, or the address no address of this machine, it ends and says so in one line."""
    run(program, folder, "certs", "init", "--dir", "lab")
    run(program, folder, "certs", "issue", "w", "--dir", "lab")
    secure = '[security]\nmode = "tls"\nca = "lab/ca.pem"\ncertificate = "lab/w/certificate.pem"\n' \
             'key = "lab/w/key.pem"\n'
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for i, (listen, table) in enumerate([
                ("127.0.0.1:%d" % port, ""), ("127.0.0.1:0", '[metrics]\nlisten = "127.0.0.1:%d"\n' % port),
                ("127.0.0.1:%d" % port, secure), ("127.0.0.1:0", secure + '[metrics]\nlisten = "127.0.0.1:%d"\n' % port),
                ("127.0.0.1:0", '[data_plane]\nbackend = "ucx"\n'), ("127.0.0.1:0", secure + '[data_plane]\nbackend = "tls"\n')]):
            data = 'data_listen = "127.0.0.1:%d"\n' % port if "data_plane" in table else ""
            (folder / "taken.toml").write_text('[node]\nname = "w"\ndir = "t%d"\nlisten = "%s"\n%s%s'
                                               % (i, listen, data, table))
            done = run(program, folder, "node", "--config", "taken.toml")
            said = done.stderr.splitlines()
            assert done.returncode == 1 and str(port) in said[-1] and "cannot listen" in said[-1], (table, done)


def systemd(program, folder):
    """Type=notify and the watchdog; SIGHUP keeps what it had when the new file is wrong; metrics."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(folder / "notify"))
        supervisor.settimeout(60)
        text = '[node]\nname = "s"\ndir = "s"\n[log]\nlevel = "%s"\n[limits]\nmax_upload_mbps = %s\n' \
               '[metrics]\nlisten = "127.0.0.1:0"\n'

        def write(words):  # At once: the daemon may read it at any time.
            (folder / "new.toml").write_text(words)
            os.replace(folder / "new.toml", folder / "s.toml")

        write(text % ("info", 0))
        node = Node(program, folder, "--config", "s.toml", NOTIFY_SOCKET=str(folder / "notify"),
                    WATCHDOG_USEC="600000")
        ready = node.wait_ready()
        told = lambda: supervisor.recv(4096).decode()
        assert told() == "READY=1"
        assert told() == "WATCHDOG=1" and told() == "WATCHDOG=1"
        with urllib.request.urlopen("http://%s/metrics" % ready["metrics"]) as page:
            lines = page.read().decode().splitlines()
        assert 'skippipe_info{name="s",cluster="default"} 1' in lines and "skippipe_job_running 0" in lines, lines
        write(text % ("loud", 0))
        node.process.send_signal(signal.SIGHUP)
        node.wait_line("the configuration stays as it was")
        log = node.log.read_text()
        assert re.search(r"^20\S+ s warning: .*s.toml:5:9: log.level: expected one of", log, re.M), log
        write(text % ("warning", 8))
        node.process.send_signal(signal.SIGHUP)
        wait_until("the watchdog is fed on", lambda: told() == "WATCHDOG=1")
        write(text % ("info", 8))
        node.process.send_signal(signal.SIGHUP)
        node.wait_line("limits.max_upload_mbps = 8")
        assert "restart" not in node.log.read_text(), node.log.read_text()
        write((text % ("info", 9)).replace('dir = "s"', 'dir = "s"\nthreads = 2'))
        node.process.send_signal(signal.SIGHUP)
        node.wait_line("limits.max_upload_mbps = 9")
        node.wait_line("taken over by a restart only: node.threads\n")
        node.process.send_signal(signal.SIGTERM)
        wait_until("the supervisor is told", lambda: told() == "STOPPING=1")
        assert node.process.wait(30) == 0


def members(program, source, folder):
    """Refusals in one line each, a spare, drain by SIGTERM and its second, several jobs in the queue."""
    config = folder / "cluster.toml"
    config.write_text((source / "configs/local-cluster.toml").read_text().replace("../runs", "runs")
                      .replace("nodes = 9", "nodes = 3").replace('backend = "ucx"', 'backend = "tls"'))
    (folder / "two.toml").write_text(JOB % (2, 100000, 2))
    (folder / "short.toml").write_text(JOB % (2, 2, 2))
    with Cluster(program, folder, config) as cluster:
        job = cluster.train("two.toml")
        job.wait_iteration(1)
        with Daemon(cluster, "stranger", node={"cluster": "other"}) as wrong:
            line = wrong.wait_refused()
            assert "asks for the cluster 'other', this is 'local'" in line, line
        code, line = cluster.check_node("stranger", node={"cluster": "other"})
        assert code == 1 and "it would refuse this node: it asks for the cluster 'other', this is 'local'" in line, line
        with Daemon(cluster, "impostor", node={"name": "node-1"}) as wrong:
            line = wrong.wait_refused()
            assert "impostor" in line and "node-1" in line, line
        with Daemon(cluster, "spare") as spare:
            spare.wait_ready()
            node = cluster.nodes()["spare"]
            assert (node["state"], node["stage"]) == ("ready", None), node
            code, line = cluster.check_node("spare")
            assert code == 1 and "a node called 'spare' is a member already" in line, line
            with Daemon(cluster, "spare", node={"dir": "spare-2"}) as twin:
                wait_until("the twin is told", lambda: "a node called 'spare' is a member already" in
                           twin.log.read_text())
            at = job.of("iteration")[-1]["iteration"]
            job.wait_iteration(at + 2)  # The job goes on as it was.
            spare.process.send_signal(signal.SIGTERM)
            assert spare.process.wait(30) == 0
            assert cluster.nodes()["spare"]["state"] == "left"
            log = spare.log.read_text()
            assert "out of reach" not in log and "left the cluster: drained" in log.splitlines()[-1], log
        # Others wait for the running job, in the order of their submission.
        waiting = [cluster.train("short.toml"), cluster.train("short.toml")]
        names = [one.wait_for(lambda e: e["event"] == "submitted")["job"] for one in waiting]
        waiting[0].wait_for(lambda e: e["event"] == "note" and "waiting" in e["text"])
        states = {j["id"]: j["state"] for j in cluster.run("jobs")["jobs"]}
        assert [states[name] for name in names] == ["queued", "queued"], states
        assert cluster.run("status")["queued"] == 2
        # Whoever does not follow goes when the cluster has the job's data, long before its turn.
        prepare_data(program, source, folder / "other", ["ARCHITECTURE.md"])
        (folder / "other.toml").write_text((JOB % (2, 2, 2)).replace('dir = "data"', 'dir = "other"'))
        gone = cluster.train("other.toml", "--detach")
        assert gone.process.wait(60) == 0
        assert gone.of("submitted") and gone.of("data_received") and not gone.of("started"), gone.events
        names.append(gone.of("submitted")[0]["job"])
        gone = cluster.train("short.toml", "--detach")
        assert gone.process.wait(60) == 0
        name = gone.of("submitted")[0]["job"]
        cluster.run("stop", name)
        told = subprocess.run([program, "attach", name, "--cluster", cluster.control], cwd=folder, capture_output=True,
                              text=True, timeout=60, check=True)
        assert told.stdout == "stopped before its first iteration ended\n", told
        assert "stopping" not in told.stdout + told.stderr, told
        attached = cluster.attach(job.of("submitted")[0]["job"])
        attached.wait_iteration(at)
        cluster.run("stop", job.of("submitted")[0]["job"])
        assert job.finish()["event"] == "done" and attached.finish()["event"] == "done"
        for one in waiting:
            assert one.finish()["iterations"] == 2
        assert cluster.attach(names[2]).finish()["iterations"] == 2
        # A job that waits for nodes does not run off with the first few of those that come together.
        (folder / "four.toml").write_text(JOB % (4, 2, 4))
        job = cluster.train("four.toml")
        job.wait_for(lambda e: e["event"] == "note" and "waiting for nodes: 2 of at least 4" in e["text"])
        with contextlib.ExitStack() as stack:
            for n in range(4):
                stack.enter_context(Daemon(cluster, "late-%d" % n))
            job.finish()
        assert job.of("started")[0]["nodes"] > 4, job.of("started")
        # The first SIGTERM drains, but the only node of a stage must stay; the second ends it at once.
        job = cluster.train("two.toml")
        job.wait_iteration(1)
        os.kill(cluster.pids["node-1"], signal.SIGTERM)
        log = folder / "runs/cluster/node-1.log"
        wait_until("it is told why", lambda: "drain" in log.read_text())
        os.kill(cluster.pids["node-1"], signal.SIGTERM)
        job.wait_for(lambda e: e["event"] == "note" and "no node left" in e["text"])
        # As soon as there is one for it again, the job goes on and says so, to its submitter and in the log.
        count = len(job.of("iteration"))
        with Daemon(cluster, "again"):
            job.wait_for(lambda e: e["event"] == "iteration" and len(job.of("iteration")) > count)
            notes = [e["text"] for e in job.of("note")]
            log = (folder / "runs/cluster/scheduler.log").read_text()
            assert "the job begins anew with 2 nodes" in notes, notes
            assert "job '%s': the job begins anew with 2 nodes\n" % job.of("submitted")[0]["job"] in log, log[-1000:]
            cluster.run("stop", job.of("submitted")[0]["job"])
            job.finish()


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        prepare_data(program, source, folder / "data")
        checks(program, folder)
        alone(program, folder)
        unread(program, folder)
        taken_ports(program, folder)
        systemd(program, folder)
        members(program, source, folder)


main()
