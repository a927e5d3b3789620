#!/usr/bin/env python3
"""A host's way out becomes slower while a job runs: the job is planned anew and what it sends is less; nobody is
suspected, and losses and parameters are bit for bit those of the embedded job.

usage: cluster_slow_link.py SKIPPIPE SOURCE_DIR

Hosts of their own, joined by bridges (tbf). Ends with 77 and says why where they cannot be made.
"""
import json
import pathlib
import sys
import tempfile

from cluster_drift import QUIET, Run, equal_to_embedded, same_lives
from cluster_hosts import Daemons
from hosts import Hosts, missing
from local_cluster import TINY_MODEL, Job, prepare_data

# A tensor between stages has 128 KiB.
JOB = TINY_MODEL + """
[job]
name = "slow-link"
[pipeline]
stages = 2
path_length = 2
microbatches_per_origin = 4
microbatch_size = 32
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
nodes = 4
"""


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    why = missing()
    if why:
        print("not run: " + why)
        sys.exit(77)
    with tempfile.TemporaryDirectory() as name, Hosts(5, mbit=400) as hosts:
        folder = pathlib.Path(name)
        prepare_data(program, source, folder / "data")
        (folder / "job.toml").write_text(JOB)
        with Daemons(program, folder, hosts, "ucx") as daemons:
            for file in daemons.files:
                file.write_text(file.read_text() + "[profile]\nreplan_gain = 0.1\nreplan_pause = 5\n")
            daemons.start()
            job = Job(daemons.words("train", "job.toml"), folder)
            run = Run(job)
            plan = run.settle()
            before = {node["name"]: node for node in daemons.run("nodes")["nodes"]}
            names = [node["name"] for node in json.loads((run.folder / "instance.json").read_text())["nodes"]]
            victim = next(name for name, node in sorted(before.items()) if node["stage"] == 1)
            share = run.work(plan)[names.index(victim)]
            assert share >= 3, run.work(plan)
            since = run.now()["iteration"]
            hosts.limit("eth1", 10, [int(victim[1:])])
            less = run.wait_work(names.index(victim), lambda count: count < share)
            relieved = run.wait_more(QUIET)
            left = run.work(relieved["plan_version"])[names.index(victim)]
            assert left <= share // 2, run.work(relieved["plan_version"])
            slow = run.seconds(since + 1, less["iteration"] - 1)
            after = run.seconds(less["iteration"], relieved["iteration"])
            same_lives(before, {node["name"]: node for node in daemons.run("nodes")["nodes"]})
            daemons.run("stop", job.of("submitted")[0]["job"])
            done = job.finish()
        equal_to_embedded(program, folder, job, done)
        print("%d of 8 microbatches, %d with a slow way out (plan %d after %d iterations); an iteration %.0f ms when "
              "slow, %.0f by the new plan" % (share, left, less["plan_version"], less["iteration"] - since, 1e3 * slow,
                                              1e3 * after))


if __name__ == "__main__":
    main()
