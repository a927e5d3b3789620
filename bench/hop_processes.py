#!/usr/bin/env python3
"""What a hop costs between daemon processes: from the end of one node's task to the start of the next one's, out of
the job's own trace. All processes read one clock, so nothing is corrected.

usage: bench/hop_processes.py [ITERATIONS [BACKEND...]]   (from the source folder, after tools/build)

One microbatch is under way at a time, so no task waits for another. Small: 2 KiB travel with it; large: 1 MiB.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = str(SOURCE / "build" / "skippipe")

JOB = """
[job]
name = "hop"
[model]
dim = %d
layers = 4
heads = 2
kv_heads = 2
ffn = 64
vocab = 257
context = %d
[pipeline]
stages = %d
skip_ratio = 0.0
microbatches_per_origin = 1
microbatch_size = %d
strategy = "full"
[train]
total_iterations = %d
eval_batches = 1
[data]
dir = "data"
[cluster]
nodes = %d
"""

CLUSTER = """
[cluster]
nodes = %d
dir = "cluster"
[security]
mode = "tls"
[data_plane]
backend = "%s"
[failure]
detect_within_s = 20.0
"""


def gaps_us(trace):
    """Of consecutive tasks of a microbatch on different nodes, but for the first iterations."""
    tasks = {}
    for event in trace["traceEvents"]:
        if event["ph"] == "X" and event["cat"] == "task" and not event["name"].startswith("eval"):
            tasks.setdefault(event["args"]["iteration"], []).append(event)
    gaps = []
    for iteration, chain in tasks.items():
        if iteration <= 10:
            continue
        chain.sort(key=lambda task: task["ts"])
        for a, b in zip(chain, chain[1:]):
            if a["pid"] != b["pid"]:
                gaps.append(b["ts"] - a["ts"] - a["dur"])
    return sorted(gaps)


def measure(folder, backend, stages, label, shape, iterations):
    dim, context, size = shape
    (folder / "job.toml").write_text(JOB % (dim, context, stages, size, iterations, stages))
    (folder / "cluster.toml").write_text(CLUSTER % (stages + 1, backend))
    up = subprocess.Popen([PROGRAM, "up", "cluster.toml", "--json"], cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        control = json.loads(up.stdout.readline())["control"]
        done = subprocess.run([PROGRAM, "train", "job.toml", "--cluster", control, "--json"], cwd=folder,
                              capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
        run_dir = [e for e in map(json.loads, done.stdout.splitlines()) if e["event"] == "started"][-1]["run_dir"]
        subprocess.run([PROGRAM, "trace", "export", "--run-dir", run_dir, "--format", "chrome", "--out", "trace.json"],
                       cwd=folder, check=True, capture_output=True)
    finally:
        up.terminate()
        up.wait(120)
    gaps = gaps_us(json.loads((folder / "trace.json").read_text()))
    print("| %s | %d | %s | %d | %.0f | %.0f |"
          % (backend, stages, label, len(gaps), gaps[len(gaps) // 2], gaps[int(0.99 * (len(gaps) - 1))]), flush=True)


def main():
    iterations = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([PROGRAM, "data", "prepare", "--input", str(SOURCE / "README.md"),
                        str(SOURCE / "ARCHITECTURE.md"), "--tokenizer", "byte", "--out", "data"], cwd=folder,
                       check=True, capture_output=True)
        print("| backend | processes | payload | hops | median us | 99th percentile us |")
        print("|---|---|---|---|---|---|")
        for backend in sys.argv[2:] or ["ucx", "tls"]:
            for stages in (2, 4):
                measure(folder, backend, stages, "2 KiB", (32, 16, 1), iterations)
            measure(folder, backend, 2, "1 MiB", (64, 64, 64), iterations // 3)


main()
