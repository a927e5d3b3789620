#!/usr/bin/env python3
"""Peak memory of a training run against what `config check` says its nodes need.

usage: bench/memory.py [JOB.toml...]    (from the source root, after ./tools/build)

Target: the process's peak at most 1.2 times the sum over all nodes of weights, gradients, optimizer
state, activations, boundary tensors and one snapshot per stage, plus 200 MB.
"""
import json
import os
import subprocess
import sys
import tempfile

files = sys.argv[1:] or ["configs/quickstart.toml", "configs/full-pipeline.toml", "configs/deterministic.toml",
                         "configs/bf16.toml"]
for file in files:
    check = subprocess.run(["build/skippipe", "config", "check", "--json", file], check=True, stdout=subprocess.PIPE)
    needed = json.loads(check.stdout)["memory_bytes"]["embedded"]
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.Popen(["build/skippipe", "train", file, "--iterations", "4", "--set", "checkpoint.every=2",
                                  "--json", "--run-dir", folder + "/run"], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        if status != 0:
            sys.exit(f"{file}: the run failed")
    peak = usage.ru_maxrss * 1024
    limit = 1.2 * needed + 200e6
    print(f"{file}: needed {needed / 1e6:.0f} MB, peak {peak / 1e6:.0f} MB, limit {limit / 1e6:.0f} MB, "
          f"peak/limit {peak / limit:.2f}", flush=True)
