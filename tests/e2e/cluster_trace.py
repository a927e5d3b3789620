#!/usr/bin/env python3
"""The trace of a job over several daemons: followed while it runs, then shown, explained, exported and
searched for stuck microbatches through the cluster exactly as from its run folder.

usage: cluster_trace.py SKIPPIPE SOURCE_DIR
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

from local_cluster import SMALL_MODEL, Cluster, prepare_data, wait_until

JOB = SMALL_MODEL + """
[job]
name = "traced"
[pipeline]
stages = 4
path_length = 3
microbatches_per_origin = 4
microbatch_size = 4
memory_microbatches = 2
strategy = "random"
[train]
total_iterations = %d
lr = 1e-3
seed = 5
[data]
dir = "data"
[checkpoint]
every = 20
[cluster]
nodes = 8
"""
ITERATIONS = 60


class Follower:
    def __init__(self, cluster, *words):
        self.process = subprocess.Popen([cluster.program, "trace", "follow", "--cluster", cluster.control, *words],
                                        cwd=cluster.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines, self.seen = [], threading.Event()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            self.seen.set()

    def end(self, seconds=60):
        status = self.process.wait(seconds)
        self.reader.join()
        return status, self.process.stderr.read()


def call(cluster, *words, status=0):
    done = subprocess.run([cluster.program, "trace", *words], cwd=cluster.folder, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == status, (words, done.returncode, done.stderr)
    return done


def check_hops(events, iteration, microbatch):
    """One microbatch from its origin to its origin again: every step starts after the one before it, each
    payload is received after it was sent, on the node that it was sent to."""
    mine = [e for e in events if e.get("iteration") == iteration and e.get("microbatch") == microbatch]
    started = [e for e in mine if e["event"] == "started"]
    assert [e["step"] for e in started] == list(range(len(started))), started
    assert len(started) == 2 * 3 + 1, started  # F F F L B B B
    assert len({e["node"] for e in started}) == 3, started
    sent = {e["transfer"]: e for e in mine if e["event"] == "sent"}
    received = {e["transfer"]: e for e in mine if e["event"] == "received"}
    assert len(sent) == 6 - 2 + 2 and sent.keys() == received.keys(), (sent, received)
    for transfer, e in received.items():
        assert sent[transfer]["peer"] == e["node"] and e["peer"] == sent[transfer]["node"], (sent[transfer], e)
    # As they were printed: what is computed here is received there later.
    order = [(e["event"], e.get("step")) for e in mine]
    for step in range(1, len(started)):
        assert order.index(("started", step - 1)) < order.index(("started", step)), order


def follow(cluster):
    everything = Follower(cluster, "--json")
    words = Follower(cluster)
    wait_until("followers see events", lambda: everything.lines and words.lines)
    chosen = Follower(cluster, "--json", "--node", "node-3")
    interrupted = Follower(cluster)
    interrupted.seen.wait(60)
    interrupted.process.send_signal(signal.SIGINT)
    status, errors = interrupted.end()
    assert status == 0 and interrupted.lines and not errors.count("skippipe:"), errors
    # One that takes nothing, and one that vanishes, hold up nobody.
    frozen = Follower(cluster, "--json")
    frozen.seen.wait(60)
    frozen.process.send_signal(signal.SIGSTOP)
    gone = Follower(cluster, "--json")
    gone.seen.wait(60)
    gone.process.kill()
    return everything, words, chosen, frozen, gone


def compare(cluster, job, run_dir, folder):
    here, there = ["--run-dir", run_dir], ["--cluster", cluster.control, "--job", job]
    for words in (["show"], ["show", "--iteration", "40"], ["show", "2", "--iteration", "40"], ["explain", "40"],
                  ["stuck"], ["stuck", "--iteration", "3"]):
        for form in ([], ["--json"]):
            a, b = call(cluster, *words, *form, *here), call(cluster, *words, *form, *there)
            assert a.stdout == b.stdout and a.stderr == b.stderr and a.stdout, (words, a, b)
    for choice in ([], ["--iteration", "7..9"]):
        for name, where in (("here.json", here), ("there.json", there)):
            call(cluster, "export", "--out", str(folder / name), *choice, *where)
        a, b = ((folder / name).read_bytes() for name in ("here.json", "there.json"))
        assert a == b and len(a) > 10_000, len(a)
    refused = call(cluster, "show", "--iteration", "999", *there, status=1)
    assert refused.stderr.count("\n") == 1 and "iteration 999 is not in the trace of job " + job in refused.stderr
    # Without a name it is the job that ran last; by the environment too.
    os.environ["SKIPPIPE_CLUSTER"] = cluster.control
    unnamed = call(cluster, "show")
    assert unnamed.stdout == call(cluster, "show", *here).stdout
    assert unnamed.stderr == "trace of job %s of the cluster at %s\n" % (job, cluster.control), unnamed
    del os.environ["SKIPPIPE_CLUSTER"]
    for words in (["follow"], ["follow", "--job", job], ["follow", "--job", "none"], ["show", "--job", "none"]):
        refused = call(cluster, *words, "--cluster", cluster.control, status=1)
        assert refused.stderr.count("\n") == 1 and not refused.stdout, refused


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare_data(program, source, folder / "data")
        (folder / "job.toml").write_text(JOB % ITERATIONS)
        config = folder / "cluster.toml"
        config.write_text((source / "configs/local-cluster.toml").read_text().replace("../runs", "runs"))
        with Cluster(program, folder, config) as cluster:
            job = cluster.train("job.toml")
            job.wait_iteration(1)
            everything, words, chosen, frozen, gone = follow(cluster)
            done = job.finish()
            assert done["iterations"] == ITERATIONS, done
            gone.end()
            for one in (everything, words, chosen):
                status, errors = one.end()
                assert status == 0 and "has ended: done" in errors, (status, errors)
            frozen.process.send_signal(signal.SIGCONT)
            assert frozen.end()[0] in (0, 1)  # It may find the job known as ended, or its turn gone.
            events = [json.loads(line) for line in everything.lines]
            times = [e["time_ns"] for e in events]
            late = sum(a > b for a, b in zip(times, times[1:]))
            assert late * 100 < len(times), "%d of %d are late" % (late, len(times))
            assert {e["node"] for e in events} == {"scheduler"} | {"node-%d" % n for n in range(1, 9)}
            last = max(e["iteration"] for e in events if "iteration" in e)
            assert last == ITERATIONS
            check_hops(events, ITERATIONS - 5, 2)
            assert {json.loads(line)["node"] for line in chosen.lines} == {"node-3"}
            assert any("microbatch 2: F of stage " in line for line in words.lines)
            run_dir = [e for e in cluster.run("jobs")["jobs"]][0]["run_dir"]
            compare(cluster, job.of("submitted")[0]["job"], run_dir, folder)
            print("%d events followed, %d of them late" % (len(events), late))
        begin = time.monotonic()
        refused = call(cluster, "follow", "--cluster", cluster.control, status=1)
        assert refused.stderr.count("\n") == 1 and cluster.control in refused.stderr, refused
        assert time.monotonic() - begin < 10


main()
