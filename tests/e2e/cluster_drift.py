#!/usr/bin/env python3
"""A job follows what its nodes cost: a hiccup changes no plan; a node that really becomes slower gets less to do.
Nobody is suspected, and losses and parameters are bit for bit those of the embedded job, which knows of nothing.

usage: cluster_drift.py SKIPPIPE SOURCE_DIR

The slow node is stopped and continued many times a second (SIGSTOP, SIGCONT), far within the time of the failure
detector: all that it does takes several times as long, as on a machine that others use as well.
"""
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from local_cluster import SMALL_MODEL, Cluster, prepare_data, tensors, wait_until

JOB = SMALL_MODEL + """
[job]
name = "drift"
[pipeline]
stages = 3
path_length = 3
microbatches_per_origin = 4
microbatch_size = 4
memory_microbatches = 4
deterministic = true
[train]
total_iterations = 2000
lr = 1e-3
seed = 5
eval_batches = 1
[data]
dir = "data"
[cluster]
nodes = 6
"""
# Far above what a busy machine does to nodes that share it; the slow node is worth more than that.
SETTINGS = ["cluster.nodes=7", "profile.replan_gain=0.2", "profile.replan_pause=5"]
QUIET = 12  # Iterations by one plan, after which it is taken to stay.


class Slow:
    """While it lasts the process runs a tenth of the time."""

    def __init__(self, pid):
        self.pid, self.over = pid, threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.over.is_set():
            os.kill(self.pid, signal.SIGSTOP)
            self.over.wait(0.09)
            os.kill(self.pid, signal.SIGCONT)
            self.over.wait(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


class Run:
    """The iterations of a job and the plans that they run by."""

    def __init__(self, job):
        self.job = job
        self.folder = pathlib.Path(job.wait_for(lambda e: e["event"] == "started")["run_dir"])

    def now(self):
        """The newest iteration's event."""
        return self.job.of("iteration")[-1]

    def wait_more(self, count):
        return self.job.wait_iteration(self.now()["iteration"] + count)

    def settle(self):
        """The plan that has been run by for a while."""
        first = last = self.job.wait_iteration(1)
        while last["iteration"] - first["iteration"] < QUIET:
            last = self.wait_more(1)
            assert last["iteration"] < 8 * QUIET, "plans change all the time"
            if last["plan_version"] != first["plan_version"]:
                first = last
        return last["plan_version"]

    def work(self, version):
        """Node -> how many microbatches that plan sends there."""
        file = self.folder / "plans" / ("%d.json" % version)
        plan = wait_until("plan %d" % version, lambda: file.exists() and json.loads(file.read_text()))
        counts = {node: 0 for stage in plan["arrangement"] for node in stage}
        for path in plan["paths"]:
            for _, node in path["hops"]:
                counts[node] += 1
        return counts

    def wait_work(self, node, wanted, seconds=120):
        """The first iteration from now on by a plan that gives `node` as much work as wanted."""
        since = self.now()["iteration"]
        return self.job.wait_for(lambda e: e["event"] == "iteration" and e["iteration"] > since
                                 and wanted(self.work(e["plan_version"])[node]), seconds)

    def seconds(self, first, last):
        """The usual time of an iteration between two."""
        return statistics.median(e["iteration_s"] for e in self.job.of("iteration") if first < e["iteration"] <= last)


def same_lives(before, now):
    """Whoever was there still is, and was never taken for dead."""
    for name, node in before.items():
        assert (now[name]["state"], now[name]["incarnation"]) == (node["state"], node["incarnation"]), now[name]


def equal_to_embedded(program, folder, job, done):
    """Nobody was lost, and losses, parameters and optimizer are bit for bit those of the embedded job."""
    assert not [e for e in job.of("note") if "lost" in e["text"]], job.of("note")
    embedded = subprocess.run([program, "train", "job.toml", "--json", "--iterations", str(done["iterations"])],
                              cwd=folder, capture_output=True, text=True, check=True)
    expected = [json.loads(line) for line in embedded.stdout.splitlines()]
    assert [e["loss"] for e in job.of("iteration")] == \
        [e["loss"] for e in expected if e["event"] == "iteration"], "the losses differ"
    assert tensors(done["checkpoint"]) == tensors(folder / expected[-1]["checkpoint"]), "the tensors differ"


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare_data(program, source, folder / "data")
        (folder / "job.toml").write_text(JOB)
        config = folder / "cluster.toml"
        config.write_text((source / "configs/local-cluster.toml").read_text().replace("../runs", "runs"))
        with Cluster(program, folder, config, SETTINGS) as cluster:
            job = cluster.train("job.toml")
            run = Run(job)
            plan = run.settle()
            before = cluster.nodes()
            victim = next(name for name, node in sorted(before.items()) if node["stage"] == 1)
            nodes = json.loads((run.folder / "instance.json").read_text())["nodes"]
            number = [node["name"] for node in nodes].index(victim)
            share = run.work(plan)[number]
            assert share >= 3, run.work(plan)  # Of eight microbatches that two nodes serve.

            # Two iterations in a row that last far longer than they should.
            for _ in range(2):
                cluster.kill(victim, signal.SIGSTOP)
                time.sleep(0.5)
                cluster.kill(victim, signal.SIGCONT)
                run.wait_more(1)
            hiccup = run.now()["iteration"]
            run.wait_more(2 * QUIET)
            usual = run.seconds(hiccup, run.now()["iteration"])
            assert run.now()["plan_version"] == plan, "a plan for a hiccup"

            slow_from = run.now()["iteration"]
            with Slow(cluster.pids[victim]):
                less = run.wait_work(number, lambda count: count < share)
                slow = run.seconds(slow_from + 1, less["iteration"] - 1)
                # The first plan may be of when it was not known how slow.
                relieved = run.wait_work(number, lambda count: count <= 1)
                run.wait_more(3)
                after = run.seconds(relieved["iteration"], run.now()["iteration"])
                left = run.work(relieved["plan_version"])
            noted = [e["text"] for e in job.of("note") if e["text"].startswith("plan ")]
            assert any(text.startswith("plan %d " % less["plan_version"]) for text in noted), noted

            same_lives(before, cluster.nodes())
            cluster.run("stop", job.of("submitted")[0]["job"])
            done = job.finish()
        equal_to_embedded(program, folder, job, done)
        print("%d of 8 microbatches at the node, %d when slow (plan %d after %d iterations); an iteration %.0f ms, "
              "%.0f when slow, %.0f by the new plan"
              % (share, left[number], less["plan_version"], less["iteration"] - slow_from,
                 1e3 * usual, 1e3 * slow, 1e3 * after))


if __name__ == "__main__":
    main()
