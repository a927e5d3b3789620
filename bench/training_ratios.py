#!/usr/bin/env python3
"""Training throughput: the embedded pipeline, the plain loop and python3-torch, interleaved.

usage: bench/training_ratios.py [ROUNDS] [quickstart|wide|all]    (from the source root, after ./tools/build)

Every contender runs ROUNDS times, in turn; medians and their ratios are printed. With two threads a
plain loop depends on how OpenBLAS's and OpenMP's threads share the cores, so it runs in two settings
and the faster one counts, for LibTorch and python3-torch alike.
"""
import os
import statistics
import subprocess
import sys

SIZES = {  # dim, layers, context, rows, microbatches, iterations
    "quickstart": (192, 8, 128, 8, 8, 3),
    "wide": (768, 4, 512, 1, 8, 1),
}
ONE = [{"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}]
TWO = [
    {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "2"},
    {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
]


def tokens_per_s(settings, command):
    """The best of the settings."""
    results = []
    for setting in settings:
        env = dict(os.environ, **setting)
        results.append(float(subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE).stdout))
    return max(results)


def contenders(size):
    dim, layers, context, rows, microbatches, iterations = (str(x) for x in SIZES[size])
    words = [dim, layers, context, rows, microbatches]
    ours = "build/bench_training"

    def workers(n):
        return [dict(ONE[0], SKIPPIPE_BENCH_WORKERS=str(n))]

    return {
        "pipeline 1 thread": (workers(1), [ours, "pipeline", *words, "float32", iterations]),
        "pipeline 2 threads": (workers(2), [ours, "pipeline", *words, "float32", iterations]),
        "pipeline 2 threads, 2 replicas": (workers(2), [ours, "pipeline", *words, "float32", iterations, "2"]),
        "pipeline 2 threads, bfloat16": (workers(2), [ours, "pipeline", *words, "bfloat16", iterations]),
        "loop 1 thread": (ONE, [ours, "loop", *words, "float32", iterations]),
        "loop 2 threads": (TWO, [ours, "loop", *words, "float32", iterations]),
        "loop 1 thread, bfloat16": (ONE, [ours, "loop", *words, "bfloat16", iterations]),
        "python 1 thread": (ONE, ["/usr/bin/python3", "bench/training_reference.py", *words, "float32", iterations]),
        "python 2 threads": (TWO, ["/usr/bin/python3", "bench/training_reference.py", *words, "float32", iterations]),
    }


RATIOS = [
    ("pipeline / loop, 1 thread (target 0.97)", "pipeline 1 thread", "loop 1 thread"),
    ("pipeline / loop, 2 threads (target 0.97)", "pipeline 2 threads", "loop 2 threads"),
    ("two replicas / one, 2 threads", "pipeline 2 threads, 2 replicas", "pipeline 2 threads"),
    ("loop / python, 1 thread (target 1.0)", "loop 1 thread", "python 1 thread"),
    ("loop / python, 2 threads (target 1.0)", "loop 2 threads", "python 2 threads"),
    ("bfloat16 / float32 loop, 1 thread", "loop 1 thread, bfloat16", "loop 1 thread"),
    ("bfloat16 / float32 pipeline, 2 threads", "pipeline 2 threads, bfloat16", "pipeline 2 threads"),
]


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    which = sys.argv[2] if len(sys.argv) > 2 else "all"
    for size in SIZES if which == "all" else [which]:
        runs = contenders(size)
        results = {name: [] for name in runs}
        for i in range(rounds):
            for name, (settings, command) in runs.items():
                results[name].append(tokens_per_s(settings, command))
            print(f"{size}: round {i + 1} of {rounds}", file=sys.stderr)
        print("%s: dim %d, %d layers, T %d, %d samples, %d microbatches" % ((size,) + SIZES[size][:5]))
        for name, values in results.items():
            print(f"  {name:34} {statistics.median(values):8.0f} tokens/s")
        for title, over, under in RATIOS:
            print(f"  {title:46} {statistics.median(results[over]) / statistics.median(results[under]):.2f}")


if __name__ == "__main__":
    main()
