#!/usr/bin/env python3
"""Emulated machines take the time that they are told to: an iteration lasts about as long as its plan says, and
the run says how many tasks could not be held to their time.

usage: cluster_emulated.py SKIPPIPE SOURCE_DIR
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

from local_cluster import Cluster, prepare_data


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare_data(program, source, folder / "data")
        job = (source / "configs/emulated-job.toml").read_text()
        (folder / "job.toml").write_text(job.replace('corpus = "debian"', 'dir = "data"').split("tokenizer")[0]
                                         + "\n[cluster]\nnodes = 20\n")
        config = folder / "cluster.toml"
        text = (source / "configs/emulated-cluster.toml").read_text()
        config.write_text(text.replace("../runs", "runs").replace("twelve-regions", str(source) + "/configs/twelve-regions"))
        with Cluster(program, folder, config, ["cluster.nodes=13", "emulation.time_scale=30"]) as cluster:
            where = {name: node.get("location") for name, node in cluster.nodes().items()}
            assert where["node-1"] == "Australia" and where["node-12"] == "London", where
            run = cluster.train("job.toml", "--iterations", "2", "--set", "pipeline.strategy=random")
            run.finish()
            started, last = run.of("started")[0], run.of("iteration")[-1]
            planned = started["planned_iteration_s"]
            assert planned > 50 and started["time_scale"] == 30, started
            # The plan knows the links: without them it would be about 40 s. The bounds are wide: this is no
            # benchmark (bench/emulated_cluster.py is).
            assert 0.7 * planned < last["iteration_s"] < 3 * planned, (planned, last)
            # A person waits in real time.
            told = subprocess.run([program, "attach", run.of("submitted")[0]["job"], "--cluster", cluster.control],
                                  cwd=folder, capture_output=True, text=True, check=True).stdout
            assert "emulated: 30 s pass in a real second" in told, told
            eta = re.search(r"^iteration 1/2 .* ETA (\d+):(\d+) ", told, re.M)
            took = run.of("iteration")[0]["iteration_s"]
            assert abs(60 * int(eta[1]) + int(eta[2]) - took / 30) < 1, (told, took)
            # The run folder has the problem, and a story tells plan and facts by one clock, the real one.
            left = pathlib.Path(started["run_dir"])
            again = subprocess.run([program, "plan", "--instance", str(left / "instance.json"), "--strategy", "random",
                                    "--json"], capture_output=True, text=True, check=True)
            assert 0.7 < json.loads(again.stdout)["makespan_s"] / planned < 1.4, (again.stdout, planned)
            told = subprocess.run([program, "trace", "show", "0", "--iteration", "2", "--run-dir", str(left), "--json"],
                                  capture_output=True, text=True, check=True)
            end = json.loads(told.stdout)["hops"][-1]
            assert 0.3 < end["planned_end_s"] / end["computed_s"] < 3, end
            notes = [e["text"] for e in run.of("note") if e["text"].startswith("emulation: ")]
            assert len(notes) == 1, run.of("note")
            # An emulation that cannot be held says so: 2048 tokens through a layer this wide take hundreds of
            # milliseconds on any core, and a task has 59.
            run = cluster.train("job.toml", "--iterations", "1", "--set", "pipeline.strategy=random", "--set",
                                "model.dim=512", "--set", "model.heads=8", "--set", "model.ffn=1536", "--set",
                                "pipeline.microbatch_size=128", "--set", "pipeline.microbatches_per_origin=1",
                                "--set", "checkpoint.store=scheduler", "--set", "train.eval_batches=1")
            run.finish()
            assert "INVALID" in run.of("note")[-1]["text"], run.of("note")
            print("planned %.1f s, took %.1f s; %s" % (planned, last["iteration_s"], notes[0]))


main()
