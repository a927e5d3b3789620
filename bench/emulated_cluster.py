#!/usr/bin/env python3
"""Twenty emulated machines in twelve regions: measured iteration time against the plan's, per strategy.

usage: bench/emulated_cluster.py [ITERATIONS [STRATEGY...]]   (from the source folder, after tools/build)

Prints one line per strategy: what the plan says an iteration takes, the median of what it took, their ratio,
the reduction against `full`, the share of the work that is done by relays (stages 1...), and overruns.
"""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = str(SOURCE / "build" / "skippipe")


def run(cluster, folder, strategy, iterations):
    words = [PROGRAM, "train", str(SOURCE / "configs/emulated-job.toml"), "--cluster", cluster, "--json",
             "--iterations", str(iterations), "--set", "pipeline.strategy=" + strategy]
    if strategy == "full":
        words += ["--set", "pipeline.path_length=6"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    started = [e for e in events if e["event"] == "started"][-1]
    # The first iteration includes warm-up: its caches are cold, its connections are new.
    times = [e["iteration_s"] for e in events if e["event"] == "iteration"][1:]
    notes = [e["text"] for e in events if e["event"] == "note" and "emulation" in e["text"]]
    return started, statistics.median(times), notes[-1]


def main():
    iterations = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    strategies = sys.argv[2:] or ["full", "random", "skippipe"]
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "cluster.toml"
        text = (SOURCE / "configs/emulated-cluster.toml").read_text()
        config.write_text(text.replace("../runs", "runs").replace("twelve-regions", str(SOURCE) + "/configs/twelve-regions"))
        up = subprocess.Popen([PROGRAM, "up", str(config), "--json"], cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            control = json.loads(up.stdout.readline())["control"]
            print("| strategy | plan s | measured s | measured / plan | against full | relay work | emulation |")
            print("|---|---|---|---|---|---|---|")
            full = None
            for strategy in strategies:
                started, measured, note = run(control, folder, strategy, iterations)
                full = full or measured
                plan = started["planned_iteration_s"]
                print("| %s | %.1f | %.1f | %.3f | %+.0f %% | %.0f %% | %s |"
                      % (strategy, plan, measured, measured / plan, 100 * (measured / full - 1),
                         100 * started["relay_share"], note.split(": ", 1)[1]), flush=True)
        finally:
            up.terminate()
            up.wait(120)


main()
