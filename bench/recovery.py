#!/usr/bin/env python3
"""What the loss of a node costs: twenty emulated machines in twelve regions train, one that is no origin is killed
within an iteration, and training goes on without it.

usage: bench/recovery.py [KILLS [PROGRAM]]   (from the source folder, after tools/build)

Prints one line per kill, in emulated seconds: an iteration before and after (medians), how long the interrupted one had
run, which is run again, and what the kill cost besides: until it was noticed, the plan for those left, the new start.
"""
import pathlib
import random
import statistics
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE / "tests/e2e"))
from local_cluster import Cluster  # noqa: E402

BEFORE, AFTER = 2, 4


def one(program, folder, config, chance):
    with Cluster(program, folder, config) as cluster:
        arrived = {}
        job = cluster.train(SOURCE / "configs/emulated-job.toml", "--iterations", str(1 + BEFORE + AFTER))
        started = job.wait_for(lambda e: e["event"] == "started")
        for number in range(1, BEFORE + 2):
            job.wait_iteration(number)
            arrived[number] = time.monotonic()
        usual = statistics.median(e["iteration_s"] for e in job.of("iteration")[1:])
        scale = started["time_scale"]
        time.sleep(chance.random() * 0.9 * usual / scale)
        stages = {name: node["stage"] for name, node in cluster.nodes().items() if node["stage"] is not None}
        alone = {s for s in stages.values() if list(stages.values()).count(s) < 2}
        victim = chance.choice(sorted(name for name, s in stages.items() if s > 0 and s not in alone))
        cluster.kill(victim)
        killed = time.monotonic()
        job.wait_iteration(BEFORE + 2)
        again = time.monotonic()
        job.finish()
        after = statistics.median(e["iteration_s"] for e in job.of("iteration")[BEFORE + 2:])
        ran = (killed - arrived[BEFORE + 1]) * scale
        whole = (again - arrived[BEFORE + 1]) * scale
        return victim, stages[victim], usual, after, ran, whole - ran - after, [
            e["text"] for e in job.of("note") if "plan" in e["text"]]


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    program = str(pathlib.Path(sys.argv[2]).resolve()) if len(sys.argv) > 2 else str(SOURCE / "build/skippipe")
    chance = random.Random(1)
    text = (SOURCE / "configs/emulated-cluster.toml").read_text()
    print("| node | stage | before s | after s | had run s | besides s |")
    print("|---|---|---|---|---|---|")
    rows = []
    for _ in range(kills):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            config = folder / "cluster.toml"
            config.write_text(text.replace("../runs", "runs")
                              .replace("twelve-regions", str(SOURCE) + "/configs/twelve-regions"))
            victim, stage, *figures, notes = one(program, folder, config, chance)
            rows.append(figures)
            print("| %s | %d | %.1f | %.1f | %.1f | %.1f |" % (victim, stage, *figures), flush=True)
            print("\n".join(notes), file=sys.stderr)
    print("median: after / before %.3f, besides %.1f s"
          % (statistics.median(r[1] / r[0] for r in rows), statistics.median(r[3] for r in rows)))


main()
