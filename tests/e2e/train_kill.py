#!/usr/bin/env python3
"""SIGKILL at random moments of a training run: --resume goes on, on the same loss curve (R9, R12).

usage: train_kill.py SKIPPIPE SOURCE_DIR KILLS

The moments are events, not times: after a seeded number of iterations, or as soon as a checkpoint is
being written. The loss of every iteration must equal the undisturbed run's to the last bit.
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

from local_cluster import TINY_MODEL

ITERATIONS = 24
JOB = TINY_MODEL + """
[job]
name = "kill"
[pipeline]
stages = 4
path_length = 3
microbatches_per_origin = 3
microbatch_size = 2
memory_microbatches = 2
strategy = "random"
deterministic = true
[train]
total_iterations = %d
lr = 1e-3
seed = 3
eval_batches = 1
[data]
dir = "data"
[checkpoint]
every = 2
[cluster]
nodes = 6
""" % ITERATIONS


def train(program, job, run_dir, *more):
    words = [program, "train", str(job), "--json", *more]
    if "--resume" not in more:
        words += ["--run-dir", str(run_dir)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def follow(process, losses, stop=lambda n: False):
    """Collects losses; kills when `stop` says so. Returns whether it was killed."""
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] != "iteration":
            continue
        n, loss = event["iteration"], event["loss"]
        if losses.setdefault(n, loss) != loss:
            sys.exit("iteration %d: loss %r after a resume, %r before" % (n, loss, losses[n]))
        if stop(n):
            process.kill()
            process.wait()
            return True
    if process.wait() != 0:
        sys.exit("train failed: " + process.stderr.read())
    return False


def main():
    program, source, kills = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        job = folder / "job.toml"
        job.write_text(JOB)
        subprocess.run([program, "data", "prepare", "--input", str(source / "README.md"),
                        str(source / "ARCHITECTURE.md"), str(source / "LICENSE"), "--tokenizer", "byte",
                        "--out", str(folder / "data")], check=True, capture_output=True)
        reference = {}
        follow(train(program, job, folder / "reference"), reference)
        assert sorted(reference) == list(range(1, ITERATIONS + 1)), sorted(reference)
        killed = 0
        for trial in range(kills):
            dice = random.Random(trial)
            run_dir = folder / ("run-%d" % trial)
            losses = dict(reference)
            at = dice.randrange(1, ITERATIONS)
            writing = dice.random() < 0.5

            def moment(n):
                if n < at:
                    return False
                if not writing:
                    return True
                store = run_dir / "checkpoints"
                return store.is_dir() and any(p.name.startswith(".") for p in store.iterdir())

            killed += follow(train(program, job, run_dir), losses, moment)
            done = list((run_dir / "checkpoints").glob("step-*"))
            more = ["--resume", str(run_dir)] if done else []
            follow(train(program, job, run_dir, *more), losses)
            newest = max((run_dir / "checkpoints").glob("step-*"))
            assert newest.name == "step-%08d" % ITERATIONS, newest
            subprocess.run([program, "checkpoint", "verify", str(newest)], check=True,
                           capture_output=True)
        print("%d runs, %d killed, all on the same loss curve" % (kills, killed))
        if killed < kills // 2:
            sys.exit("too few runs were killed to show anything")


main()
