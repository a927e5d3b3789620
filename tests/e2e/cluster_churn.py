#!/usr/bin/env python3
"""Workers that are killed, frozen, drained and removed, and a whole cluster that loses power, in the middle of a
deterministic job: in the end its parameters are bit for bit those of the undisturbed run.

usage: cluster_churn.py SKIPPIPE SOURCE_DIR [kill|freeze|drain|remove|reattach|stage|power|disk]...
"""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from local_cluster import SMALL_MODEL, Cluster, prepare_data, tensors, wait_until

JOB = SMALL_MODEL + """
[job]
name = "churn"
[pipeline]
stages = 4
path_length = 3
microbatches_per_origin = 4
microbatch_size = 4
memory_microbatches = 2
strategy = "random"
deterministic = true
[train]
total_iterations = %d
lr = 1e-3
seed = 5
eval_every = 20
eval_batches = 2
[data]
dir = "data"
[checkpoint]
every = %d
[cluster]
nodes = 8
"""


class World:
    def __init__(self, program, source, folder, iterations, every=10):
        self.program, self.folder, self.iterations = program, folder, iterations
        prepare_data(program, source, folder / "data")
        (folder / "job.toml").write_text(JOB % (iterations, every))
        run = subprocess.run([program, "train", "job.toml", "--json"], cwd=folder, capture_output=True,
                             text=True, check=True)
        events = [json.loads(line) for line in run.stdout.splitlines()]
        self.expected = tensors(folder / events[-1]["checkpoint"])
        self.losses = {e["iteration"]: e["loss"] for e in events if e["event"] == "iteration"}
        self.config = folder / "cluster.toml"
        self.config.write_text((source / "configs/local-cluster.toml").read_text()
                               .replace("../runs", "runs"))

    def cluster(self, *words):
        return Cluster(self.program, self.folder, self.config, words)

    def check(self, job, done):
        assert tensors(done["checkpoint"]) == self.expected, "the parameters differ"
        for event in job.of("iteration"):
            assert event["loss"] == self.losses[event["iteration"]], event
        numbers = [e["iteration"] for e in job.of("iteration")]
        assert numbers[-1] == self.iterations, numbers


def stage_of(cluster):
    return {name: node["stage"] for name, node in cluster.nodes().items() if node["stage"] is not None}


def kill(world, chance):
    """SIGKILL of one worker at a random moment; it is noticed and its microbatches go to the others."""
    with world.cluster() as cluster:
        # Routes, and so results, are the same whoever plans.
        strategy = chance.choice(["random", "skippipe"])
        job = cluster.train("job.toml", "--set", "pipeline.strategy=" + strategy)
        job.wait_iteration(chance.randrange(1, world.iterations // 2))
        time.sleep(chance.random() * 0.05)  # Anywhere within an iteration.
        victim = "node-%d" % chance.randrange(1, 9)
        cluster.kill(victim)
        world.check(job, job.finish())
        node = cluster.nodes()[victim]
        assert node["state"] == "failed" and node["reason"], node
        return "killed %s, strategy %s" % (victim, strategy)


def freeze(world, chance):
    """SIGSTOP for 10 s: the zombie is fenced, and comes back as a spare."""
    with world.cluster("failure.detect_within_s=2") as cluster:
        job = cluster.train("job.toml")
        job.wait_iteration(chance.randrange(1, 10))
        victim = "node-%d" % chance.randrange(1, 9)
        before = cluster.nodes()[victim]["incarnation"]
        begin = time.monotonic()
        cluster.kill(victim, signal.SIGSTOP)
        job.wait_for(lambda e: e["event"] == "note" and victim in e["text"])
        noticed = time.monotonic() - begin
        assert noticed < 2.6, "noticed after %.1f s" % noticed
        time.sleep(max(0, 10 - (time.monotonic() - begin)))
        cluster.kill(victim, signal.SIGCONT)
        node = wait_until("the zombie is a member again",
                          lambda: cluster.nodes()[victim] if cluster.nodes()[victim]["state"] == "ready" else None)
        assert node["incarnation"] > before and node["stage"] is None, node
        world.check(job, job.finish())
        return "froze %s, noticed after %.1f s" % (victim, noticed)


def has_ended(cluster, name):
    try:
        with open("/proc/%d/stat" % cluster.pids[name]) as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def refused(world, cluster, why, *words):
    done = subprocess.run([world.program, *words, "--cluster", cluster.control], cwd=world.folder,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and why in done.stderr and done.stderr.count("\n") == 1, done


def drain(world, chance):
    with world.cluster() as cluster:
        job = cluster.train("job.toml", "--set", "pipeline.strategy=skippipe")
        job.wait_iteration(3)
        stages = stage_of(cluster)
        victim = chance.choice(sorted(stages))
        assert cluster.run("drain", victim, "--deadline", "60") == {"name": victim, "state": "draining"}
        job.wait_for(lambda e: e["event"] == "note" and "drained" in e["text"])
        wait_until("the drained daemon has ended", lambda: has_ended(cluster, victim))
        node = cluster.nodes()[victim]
        assert (node["state"], node["stage"], node["reason"]) == ("left", None, "drained"), node
        # The stage's last node must stay.
        rest = [name for name, stage in stages.items() if stage == stages[victim] and name != victim]
        refused(world, cluster, "stage %d" % stages[victim], "drain", rest[0])
        refused(world, cluster, "no node 'nobody'", "drain", "nobody")
        refused(world, cluster, "runs the scheduler", "drain", "scheduler")
        world.check(job, job.finish())
        return "drained %s" % victim


def remove(world, chance):
    """One node is removed by force, one cannot be drained in time: both are lost, long before the failure detector
    would say so."""
    with world.cluster("failure.detect_within_s=60") as cluster:
        job = cluster.train("job.toml")
        job.wait_iteration(3)
        stages = stage_of(cluster)
        first = chance.choice(sorted(stages))
        refused(world, cluster, "--force", "remove", first)
        assert cluster.run("remove", first, "--force") == {"name": first, "state": "left"}
        wait_until("the removed daemon has ended", lambda: has_ended(cluster, first))
        node = cluster.nodes()[first]
        assert (node["state"], node["stage"], node["reason"]) == ("left", None, "removed by force"), node
        assert cluster.run("remove", first) == {"name": first, "state": "removed"}
        assert first not in cluster.nodes()
        late = chance.choice(sorted(name for name in stages if stages[name] != stages[first]))
        cluster.kill(late, signal.SIGSTOP)
        assert cluster.run("drain", late, "--deadline", "1")["state"] == "draining"
        job.wait_for(lambda e: e["event"] == "note" and late in e["text"] and "not drained within 1 s" in e["text"])
        assert cluster.nodes()[late]["state"] == "left"
        cluster.kill(late)
        world.check(job, job.finish())
        return "removed %s, did not wait for %s" % (first, late)


def stage(world, chance):
    """Both nodes of a stage die: the job pauses, goes on from its checkpoint when there are nodes again."""
    with world.cluster() as cluster:
        job = cluster.train("job.toml")
        job.wait_iteration(12)
        stages = stage_of(cluster)
        lost = chance.randrange(4)
        for name, number in stages.items():
            if number == lost:
                cluster.kill(name)
        job.wait_for(lambda e: e["event"] == "note" and "no node left" in e["text"])
        world.check(job, job.finish())
        assert [e for e in job.of("note") if "the job goes on after iteration " in e["text"]], job.of("note")
        return "lost stage %d" % lost


def reattach(world, chance):
    """Who follows a job and is frozen until the scheduler gives it up reaches it again, and misses nothing."""
    with world.cluster("failure.detect_within_s=2") as cluster:
        job = cluster.train("job.toml")
        job.wait_iteration(chance.randrange(1, 10))
        os.kill(job.process.pid, signal.SIGSTOP)
        log = cluster.folder / "runs/cluster/scheduler.log"
        wait_until("it is given up", lambda: "dropped 'operator'" in log.read_text())
        os.kill(job.process.pid, signal.SIGCONT)
        job.wait_for(lambda e: e["event"] == "note" and "trying again" in e["text"])
        world.check(job, job.finish())
        numbers = [e["iteration"] for e in job.of("iteration")]
        assert numbers == list(range(1, world.iterations + 1)), numbers
        return "gone on after a pause"


def power(world, chance):
    """All daemons are killed at once; started again, they go on by themselves, with the job that ran."""
    with world.cluster() as cluster:
        job = cluster.train("job.toml")
        job.wait_iteration(1)
        later = cluster.train("job.toml", "--iterations", "2", "--detach")
        assert later.process.wait(60) == 0
        later = later.of("submitted")[0]["job"]
        job.wait_iteration(chance.randrange(12, world.iterations - 20))
        for name in cluster.pids:
            cluster.kill(name)
        name = job.of("submitted")[0]["job"]
        job.process.wait(60)
    with world.cluster() as cluster:
        again = cluster.attach(name)
        again.wait_for(lambda e: e["event"] == "started")
        assert {j["id"]: j["state"] for j in cluster.run("jobs")["jobs"]}[later] == "queued"
        world.check(again, again.finish())
        assert again.of("started")[-1]["committed"] >= 10, "it did not go on from a checkpoint"
        assert cluster.attach(later).finish()["iterations"] == 2
        return "went on after %d" % again.of("started")[-1]["committed"]


def disk(world, chance):
    """The cluster loses power and the scheduler its checkpoints, once all of them, once a bit in each: the job goes
    on from the copy that another node holds."""
    for lose in (shutil.rmtree, flip_bits):
        with world.cluster() as cluster:
            job = cluster.train("job.toml", "--set", "checkpoint.keep=2")
            name = job.wait_for(lambda e: e["event"] == "submitted")["job"]
            copy = wait_until("a copy is held", lambda: held_copies(cluster, name))[-1]
            assert copy["node"] != "scheduler" and copy["iteration"] >= 10, copy
            for node in cluster.pids:
                cluster.kill(node)
            job.process.wait(60)
            run_dir = pathlib.Path(job.of("started")[-1]["run_dir"])
        lose(run_dir / "checkpoints")
        with world.cluster() as cluster:
            again = cluster.attach(name)
            note = again.wait_for(lambda e: e["event"] == "note" and "taken from the copy" in e["text"])
            world.check(again, again.finish())
            assert again.of("started")[-1]["committed"] >= copy["iteration"], again.of("started")
            wait_until("the last checkpoint has a copy",
                       lambda: held_copies(cluster, name)[-1]["iteration"] == world.iterations)
            assert len(held_copies(cluster, name)) == 2
    return note["text"]


def held_copies(cluster, job):
    return [j["copies"] for j in cluster.run("jobs")["jobs"] if j["id"] == job][0]


def flip_bits(checkpoints):
    for file in checkpoints.glob("step-*/stage-00.safetensors"):
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)


def main():
    program, source, kinds = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    for number, kind in enumerate(kinds):
        chance = random.Random(number * 1000 + len(kinds))
        with tempfile.TemporaryDirectory() as name:
            world = World(program, source, pathlib.Path(name), 60)
            print(kind + ": " + globals()[kind](world, chance), flush=True)


main()
