#!/usr/bin/env python3
"""Does bfloat16 training follow float32? Both dtypes train the quickstart from the same seed.

usage: bench/bfloat16_loss.py [ITERATIONS]    (from the source root, after ./tools/build; 200 by default)

Exits 1 where the validation loss at the end, or the mean training loss of the last 20 iterations,
differs by more than 2 %.
"""
import json
import subprocess
import sys
import tempfile

iterations = sys.argv[1] if len(sys.argv) > 1 else "200"
curves = {}
for dtype in ("float32", "bfloat16"):
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(["build/skippipe", "train", "configs/quickstart.toml", "--iterations", iterations, "--json",
                              "--set", f"model.dtype={dtype}", "--run-dir", folder + "/run"],
                             check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    events = [json.loads(line) for line in run.stdout.splitlines()]
    losses = [e["loss"] for e in events if e["event"] == "iteration"]
    val = [e["val_loss"] for e in events if e["event"] == "eval"][-1]
    curves[dtype] = (sum(losses[-20:]) / len(losses[-20:]), val)
    print(f"{dtype}: training loss {curves[dtype][0]:.4f} (last 20 iterations), validation loss {val:.4f}", flush=True)
worst = 0.0
for name, a, b in zip(("training", "validation"), curves["float32"], curves["bfloat16"]):
    worst = max(worst, abs(b / a - 1))
    print(f"{name}: bfloat16 / float32 {b / a:.4f}")
sys.exit(1 if worst > 0.02 else 0)
