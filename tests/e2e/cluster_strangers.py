#!/usr/bin/env python3
"""Strangers at the ports of a cluster in the middle of a job: refused, named in the log, and neither the job nor a
node that wants to join is disturbed.

usage: cluster_strangers.py SKIPPIPE SOURCE_DIR [HALF_OPEN SECONDS]
"""
import json
import os
import pathlib
import random
import resource
import socket
import subprocess
import sys
import tempfile
import time

from local_cluster import SMALL_MODEL, Cluster, prepare_data, tensors, wait_until
from strangers import address, over_tls

JOB = SMALL_MODEL + """
[job]
name = "strangers"
[pipeline]
stages = 4
path_length = 3
microbatches_per_origin = 4
microbatch_size = 4
memory_microbatches = 2
strategy = "random"
deterministic = true
[train]
total_iterations = 60
lr = 1e-3
seed = 5
eval_batches = 1
[data]
dir = "data"
[cluster]
nodes = 8
"""


def plain(where, data):
    """Sends bytes and waits until the other side has had enough."""
    with socket.create_connection(where, timeout=20) as line:
        try:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            while line.recv(4096):
                pass
        except OSError:
            pass


def cpu_seconds(pid):
    fields = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    count, seconds = (int(sys.argv[3]), float(sys.argv[4])) if len(sys.argv) > 4 else (300, 3)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    chance = random.Random(7)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare_data(program, source, folder / "data")
        (folder / "job.toml").write_text(JOB)
        run = subprocess.run([program, "train", "job.toml", "--json"], cwd=folder, capture_output=True, text=True,
                             check=True)
        expected = tensors(folder / json.loads(run.stdout.splitlines()[-1])["checkpoint"])
        for words in (["init", "--dir", "theirs"], ["issue", "node-1", "--dir", "theirs"]):
            subprocess.run([program, "certs", *words], cwd=folder, check=True, capture_output=True)
        config = folder / "cluster.toml"
        config.write_text((source / "configs/local-cluster.toml").read_text().replace("../runs", "runs"))
        with Cluster(program, folder, config, ["data_plane.backend=tls"]) as cluster:
            ports = [address(node[key]) for node in cluster.ready["nodes"][:3] for key in ("control", "data")
                     if node[key]]
            assert len(ports) == 5, ports
            job = cluster.train("job.toml")
            job.wait_iteration(2)
            hello = bytes.fromhex("16030100c8010000c40303") + chance.randbytes(32)
            for where in ports:
                plain(where, b"GET / HTTP/1.1\r\n\r\n")
                plain(where, chance.randbytes(3000))
                plain(where, hello)  # A handshake that is cut off.
                plain(where, b"\x16\x03\x01\xff\xff" + chance.randbytes(70000))  # More than a stranger may say.
                for keys in (None, folder / "theirs/node-1"):
                    outcome = over_tls(where, keys)
                    assert outcome.startswith("refused"), (where, keys, outcome)
            # One with good keys that speaks nonsense is dropped, and no more.
            over_tls(ports[0], folder / "runs/cluster/keys/node-1", chance.randbytes(5000))

            # Many that say nothing, and meanwhile a good node joins.
            lines = [socket.create_connection(ports[0], timeout=20) for _ in range(count)]
            pid = cluster.pids["scheduler"]
            begin, cpu = time.monotonic(), cpu_seconds(pid)
            subprocess.run([program, "certs", "issue", "late", "--dir", "runs/cluster/keys"], cwd=folder, check=True,
                           capture_output=True)
            keys = folder / "runs/cluster/keys/late"
            (folder / "late.toml").write_text(
                '[node]\nname = "late"\ncluster = "local"\ndir = "late"\nseeds = ["%s"]\n[security]\nmode = "tls"\n'
                'ca = "%s/ca.pem"\ncertificate = "%s/certificate.pem"\nkey = "%s/key.pem"\n'
                '[data_plane]\nbackend = "tls"\n' % (cluster.control, keys, keys, keys))
            late = subprocess.Popen([program, "node", "--config", "late.toml"], cwd=folder, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True)
            try:
                assert late.stdout.readline().startswith("READY "), late.stderr.read()
                assert cluster.nodes()["late"]["state"] == "ready"
            finally:
                late.terminate()
                late.communicate(timeout=30)
            wait_until("the time of the half-open connections", lambda: time.monotonic() - begin > seconds,
                       seconds + 10)
            share = (cpu_seconds(pid) - cpu) / (time.monotonic() - begin)
            for line in lines:
                line.close()
            assert tensors(job.finish()["checkpoint"]) == expected, "the job was disturbed"
            log = (folder / "runs/cluster/scheduler.log").read_text()
            refusals = [line for line in log.splitlines() if "refused" in line or "gate" in line]
            assert refusals, log
            assert len(refusals) < 40, "a log that strangers can fill: %d lines" % len(refusals)
            print("%d refusals in %d log lines; %d half-open connections: %.1f %% of a core in the scheduler's daemon"
                  " with the job running" % (6 * len(ports) + count, len(refusals), count, 100 * share))


main()
