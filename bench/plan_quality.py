#!/usr/bin/env python3
"""Quality of plans on instance files against recorded results, as Markdown tables.

usage: bench/plan_quality.py FOLDER [--seeds N] [--seconds 1,5,30] [--skippipe BINARY] [NAME...]
                                                      (from the source root, after ./tools/build)

FOLDER holds baselines.json ({"instances": {NAME: {"reference_ca_s", "best_known_s", ...}}}), NAME.json per
instance and, where schedules are to be judged by someone else, evaluate.py (exit 0: valid). Every plan is
made by `skippipe plan` on two threads with one seed after the other; a cell is the median of the seeds, in
seconds. Exits 1 when a schedule is invalid or the default strategy is worse than a reference.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

OTHERS = ["full", "random", "no-collision", "cbs"]


def make_plan(binary, instance, strategy, seconds, seed, evaluator):
    """Makespan and bound in seconds (None: no such plan), and whether the evaluator accepts the schedule."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "schedule.json")
        command = [binary, "plan", "--instance", instance, "--strategy", strategy, "--time-limit", str(seconds),
                   "--seed", str(seed), "--threads", "2", "--out", out, "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode == 3:
            return None, None, True
        if done.returncode != 0:
            sys.exit(f"plan_quality: {instance}: {done.stderr.strip()}")
        answer = json.loads(done.stdout.splitlines()[-1])
        valid = answer["valid"]
        # Full pipelines visit all stages, which the evaluator takes for paths that are too long.
        if strategy != "full" and os.path.exists(evaluator):
            judged = subprocess.run([sys.executable, evaluator, instance, out], stdout=subprocess.DEVNULL)
            valid = valid and judged.returncode == 0
        return answer["makespan_s"], answer["lower_bound_s"], valid


def cell(value, digits=2):
    return "" if value is None else f"{value:.{digits}f}"


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n\n")[0])
    parser.add_argument("folder")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", default="1,5,30")
    parser.add_argument("--skippipe", default="build/skippipe")
    options = parser.parse_intermixed_args()
    with open(os.path.join(options.folder, "baselines.json")) as file:
        known = json.load(file)["instances"]
    evaluator = os.path.join(options.folder, "evaluate.py")
    limits = [float(x) for x in options.seconds.split(",")]
    rated = 5.0 if 5.0 in limits else limits[-1]
    bad = []

    def median(name, strategy, seconds, seeds):
        file = os.path.join(options.folder, name + ".json")
        plans = [make_plan(options.skippipe, file, strategy, seconds, seed, evaluator) for seed in range(1, seeds + 1)]
        if not all(valid for _, _, valid in plans):
            bad.append(f"{name}: a schedule of {strategy} is invalid")
        found = [makespan for makespan, _, _ in plans if makespan is not None]
        return (statistics.median(found) if found else None), plans[0][1]

    head = ["instance", *(f"{x:g} s" for x in limits), "best known", "ratio", "reference", "ratio", "bound", "gap"]
    head += [f"{x}, 5 s" for x in OTHERS]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
    ratios = []
    for name in options.names or known:
        facts = known[name]
        ours = [median(name, "skippipe", seconds, options.seeds) for seconds in limits]
        makespan, bound = ours[limits.index(rated)]
        reference = facts.get("reference_ca_s")
        ratios.append(makespan / facts["best_known_s"])
        if reference and makespan > reference:
            bad.append(f"{name}: {makespan:.2f} s, the reference takes {reference:.2f} s")
        row = [name, *(cell(x) for x, _ in ours), cell(facts["best_known_s"]), cell(ratios[-1], 3), cell(reference),
               cell(makespan / reference if reference else None, 3), cell(bound), f"{max(0, makespan / bound - 1):.1%}"]
        row += [cell(median(name, strategy, 5, 1)[0]) for strategy in OTHERS]
        print("| " + " | ".join(row) + " |", flush=True)
    print(f"\nMean ratio to the best known at {rated:g} s: {statistics.mean(ratios):.4f}")
    for line in bad:
        print(f"plan_quality: {line}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
