#!/usr/bin/env python3
"""A deterministic job on real daemons, control over TLS, equals the embedded one bit for bit.

usage: cluster_equal.py SKIPPIPE SOURCE_DIR [SETTING...]
"""
import json
import pathlib
import subprocess
import sys
import tempfile

from local_cluster import TINY_MODEL, Cluster, prepare_data, tensors

JOB = TINY_MODEL + """
[job]
name = "equal"
[pipeline]
stages = 4
path_length = 3
microbatches_per_origin = 3
microbatch_size = 2
memory_microbatches = 2
strategy = "random"
deterministic = true
[train]
total_iterations = 12
lr = 1e-3
seed = 5
eval_every = 6
eval_batches = 2
[data]
dir = "data"
[checkpoint]
every = 5
[cluster]
nodes = 8
"""


def main():
    program, source, settings = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare_data(program, source, folder / "data")
        (folder / "job.toml").write_text(JOB)
        run = subprocess.run([program, "train", "job.toml", "--json"], cwd=folder, capture_output=True,
                             text=True, check=True)
        embedded = [json.loads(line) for line in run.stdout.splitlines()]
        config = folder / "cluster.toml"
        config.write_text((source / "configs/local-cluster.toml").read_text().replace("../runs", "runs"))
        with Cluster(program, folder, config, settings) as cluster:
            nodes = cluster.nodes()
            assert len(nodes) == 9 and all(node["state"] == "ready" for node in nodes.values()), nodes
            job = cluster.train("job.toml")
            done = job.finish()
            losses = [e["loss"] for e in embedded if e["event"] == "iteration"]
            assert [e["loss"] for e in job.of("iteration")] == losses, "the losses differ"
            evals = [e["val_loss"] for e in embedded if e["event"] == "eval"]
            assert [e["val_loss"] for e in job.of("eval")] == evals, "the validation losses differ"
            assert tensors(done["checkpoint"]) == tensors(folder / embedded[-1]["checkpoint"]), "the tensors differ"
            # A second job on the same daemons, stopped half-way and resumed by its run folder.
            again = cluster.train("job.toml", "--iterations", "7")
            half = again.finish()
            resumed = cluster.train("job.toml", "--resume", str(pathlib.Path(half["checkpoint"]).parents[1]))
            assert tensors(resumed.finish()["checkpoint"]) == tensors(done["checkpoint"]), "resume differs"
        assert cluster.process.returncode == 0, cluster.rest
        trace = subprocess.run([program, "trace", "export", "--format", "chrome", "--out", "trace.json",
                                "--run-dir", str(pathlib.Path(done["checkpoint"]).parents[1])], cwd=folder,
                               capture_output=True, text=True)
        assert trace.returncode == 0, trace.stderr
        events = json.loads((folder / "trace.json").read_text())["traceEvents"]
        starts = sorted((e["cat"], e["id"]) for e in events if e["ph"] == "s")
        ends = sorted((e["cat"], e["id"]) for e in events if e["ph"] == "f")
        assert starts and starts == ends, "%d flows begin, %d end" % (len(starts), len(ends))
        print("12 iterations on 8 daemons equal the embedded run; %d flows close" % len(starts))


if __name__ == "__main__":
    main()
