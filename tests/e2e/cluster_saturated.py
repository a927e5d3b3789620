#!/usr/bin/env python3
"""Nobody is suspected falsely: daemons that train on cores which other processes take as well, for as long as told.

usage: cluster_saturated.py SKIPPIPE SOURCE_DIR SECONDS
"""
import multiprocessing
import os
import pathlib
import sys
import tempfile
import time

from local_cluster import Cluster, prepare_data

JOB = """
[job]
name = "saturated"
[model]
dim = 192
layers = 8
heads = 6
kv_heads = 3
ffn = 512
vocab = 257
context = 128
[pipeline]
stages = 4
skip_ratio = 0.25
microbatches_per_origin = 4
microbatch_size = 8
[train]
total_iterations = 1000000
[data]
dir = "data"
[checkpoint]
every = 20
[cluster]
nodes = 8
"""


def burn():
    while True:
        pass


def busy_share(before, after):
    """Of all cores together, from two first lines of /proc/stat."""
    spent = [b - a for a, b in zip(before, after)]
    return 1 - (spent[3] + spent[4]) / sum(spent)


def cpu_times():
    with open("/proc/stat") as file:
        return [int(word) for word in file.readline().split()[1:9]]


def main():
    program, source, seconds = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3])
    burners = [multiprocessing.Process(target=burn, daemon=True) for _ in range(os.cpu_count())]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare_data(program, source, folder / "data")
        (folder / "job.toml").write_text(JOB)
        config = folder / "cluster.toml"
        config.write_text((source / "configs/local-cluster.toml").read_text().replace("../runs", "runs"))
        with Cluster(program, folder, config) as cluster:
            job = cluster.train("job.toml")
            job.wait_iteration(1)
            incarnations = {name: node["incarnation"] for name, node in cluster.nodes().items()}
            for burner in burners:
                burner.start()
            begin, before = time.monotonic(), cpu_times()
            job.never(lambda e: e["event"] in ("failed", "done")
                      or e["event"] == "note" and ("lost" in e["text"] or "no node left" in e["text"]), seconds)
            busy = busy_share(before, cpu_times())
            nodes = cluster.nodes()
            for burner in burners:
                burner.kill()
            last = job.of("iteration")[-1]["iteration"]
            cluster.run("stop", job.of("submitted")[0]["job"])
            job.finish()
            assert {name: node["incarnation"] for name, node in nodes.items()} == incarnations, nodes
            assert all(node["state"] == "working" for node in nodes.values() if not node["scheduler"]), nodes
            assert busy > 0.95, "the cores were busy for %.0f %% of the time only" % (100 * busy)
            assert last > 3, "no more than %d iterations" % last
            print("%.0f s, %.0f %% busy, %d iterations, nobody suspected"
                  % (time.monotonic() - begin, 100 * busy, last))


main()
