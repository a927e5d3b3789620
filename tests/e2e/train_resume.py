#!/usr/bin/env python3
"""A deterministic job goes on from a checkpoint on other numbers of nodes, replicas and stages, bit for bit.

usage: train_resume.py SKIPPIPE SOURCE_DIR
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from local_cluster import TINY_MODEL, tensors

ITERATIONS, HALF = 10, 5
JOB = TINY_MODEL + """
[job]
name = "resume"
[pipeline]
stages = 4
path_length = %d
microbatches_per_origin = 6
microbatch_size = 2
memory_microbatches = 2
strategy = "%s"
deterministic = true
[train]
total_iterations = %d
lr = 1e-3
seed = 3
eval_batches = 1
[data]
dir = "data"
[checkpoint]
every = %d
[cluster]
nodes = 4
"""


def train(program, folder, *words):
    run = subprocess.run([program, "train", *words, "--json"], cwd=folder, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit("train %s failed: %s" % (" ".join(words), run.stderr))
    events = [json.loads(line) for line in run.stdout.splitlines()]
    losses = {e["iteration"]: e["loss"] for e in events if e["event"] == "iteration"}
    return losses, events[-1]["checkpoint"], run.stderr


def traced_iterations(program, run_dir):
    shown = subprocess.run([program, "trace", "show", "--run-dir", str(run_dir), "--json"], check=True,
                           capture_output=True, text=True)
    return [line["iteration"] for line in json.loads(shown.stdout)["iterations"]]


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([program, "data", "prepare", "--input", str(source / "README.md"),
                        str(source / "ARCHITECTURE.md"), str(source / "LICENSE"), "--tokenizer", "byte",
                        "--out", str(folder / "data")], check=True, capture_output=True)
        for kind, length, strategy, changes in (
                ("skipping", 3, "random", [["cluster.nodes=4"], ["cluster.nodes=7"],
                                           # Two origins of three microbatches each are the same six.
                                           ["cluster.nodes=8", "pipeline.microbatches_per_origin=3"]]),
                ("full", 4, "full", [["cluster.nodes=6"],
                                     ["pipeline.stages=2", "pipeline.path_length=2", "cluster.nodes=2"]])):
            job = kind + ".toml"
            (folder / job).write_text(JOB % (length, strategy, ITERATIONS, HALF))
            losses, whole, _ = train(program, folder, job, "--run-dir", kind + "-whole")
            expected = tensors(folder / whole)
            assert len(expected) > 100, len(expected)
            train(program, folder, job, "--run-dir", kind + "-half", "--iterations", str(HALF))
            for number, change in enumerate(changes):
                run_dir = "%s-%d" % (kind, number)
                shutil.copytree(folder / (kind + "-half"), folder / run_dir)
                words = [w for c in change for w in ("--set", c)]
                more, end, _ = train(program, folder, job, "--resume", run_dir, *words)
                traced = traced_iterations(program, folder / run_dir)
                if traced != list(range(1, ITERATIONS + 1)):
                    sys.exit("%s, %s: the trace holds iterations %s" % (kind, change, traced))
                wanted = {n: loss for n, loss in losses.items() if n > HALF}
                if more != wanted:
                    sys.exit("%s, %s: losses %s, expected %s" % (kind, change, more, wanted))
                got = tensors(folder / end)
                different = [n for n in expected if got.get(n) != expected[n]]
                if different or len(got) != len(expected):
                    sys.exit("%s, %s: %d tensors differ, %s" % (kind, change, len(different), different[:3]))
        # Other stages under skipped paths are another experiment, and said to be.
        _, _, text = train(program, folder, "skipping.toml", "--resume", "skipping-half", "--set",
                           "pipeline.stages=2", "--set", "pipeline.path_length=2", "--set", "cluster.nodes=2")
        if "routes change" not in text:
            sys.exit("resuming skipped paths on other stages did not say that routes change: " + text)
        # What is given otherwise is said, and counts from then on.
        words = ["skipping.toml", "--resume", "skipping-half", "--set", "train.clip=2", "--seed", "4"]
        now = "counts as it is given now: "
        for start, expected in (
                (HALF + 1, ("cluster.nodes (4, was 2)", "pipeline.path_length (3, was 2)",
                            "train.clip (2, was not given)", "train.seed (4, was 3)")), (HALF + 2, ())):
            _, _, text = train(program, folder, *words, "--iterations", str(start))
            said = [line for line in text.splitlines() if now in line]
            if len(said) != bool(expected) or not all(one in said[0] for one in expected) or "data.dir" in text:
                sys.exit("resuming with other settings said: " + text)
    print("resumed runs equal the undisturbed ones to the last bit")


main()
