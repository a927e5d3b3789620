#!/usr/bin/env python3
"""A deterministic job over five hosts with addresses of their own equals the embedded one bit for bit.

usage: cluster_hosts.py SKIPPIPE SOURCE_DIR veth-ucx|veth-tls|relay-tls

veth: a bridge, 200 Mbit/s from each host. relay: 150 ms for every frame, each way. Both are found by the
probes before the job. Ends with 77 and says why
where hosts cannot be made.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from hosts import Hosts, missing
from local_cluster import TINY_MODEL, Job, prepare_data, tensors

JOB = TINY_MODEL + """
[job]
name = "hosts"
[pipeline]
stages = 4
path_length = 3
microbatches_per_origin = 6
microbatch_size = 2
memory_microbatches = 3
strategy = "random"
deterministic = true
[train]
total_iterations = 4
lr = 1e-3
seed = 5
eval_batches = 1
[data]
dir = "data"
[checkpoint]
every = 2
[cluster]
nodes = 4
"""

NODE = """
[node]
name = "h{i}"
dir = "{folder}/h{i}"
listen = "{address}:7000"
data_listen = "{address}:7001"
seeds = [{seeds}]
[scheduler]
enabled = {first}
dedicated = {first}
[security]
mode = "tls"
ca = "{folder}/keys/h{i}/ca.pem"
certificate = "{folder}/keys/h{i}/certificate.pem"
key = "{folder}/keys/h{i}/key.pem"
trusted_interfaces = ["10.77.0.0/24"]
[data_plane]
backend = "{backend}"
"""


def main():
    program, source, kind = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    why = missing()
    if why:
        print("not run: " + why)
        sys.exit(77)
    how, backend = kind.split("-")
    with tempfile.TemporaryDirectory() as name, \
            Hosts(5, mbit=200, delay=0.150 if how == "relay" else None) as hosts:
        folder = pathlib.Path(name)
        prepare_data(program, source, folder / "data")
        (folder / "job.toml").write_text(JOB)
        run = subprocess.run([program, "train", "job.toml", "--json"], cwd=folder, capture_output=True, text=True,
                             check=True)
        embedded = json.loads(run.stdout.splitlines()[-1])["checkpoint"]
        subprocess.run([program, "certs", "init", "--dir", "keys"], cwd=folder, check=True, capture_output=True)
        names = ["h%d" % i for i in range(5)]
        subprocess.run([program, "certs", "issue", *names, "--dir", "keys"], cwd=folder, check=True,
                       capture_output=True)
        daemons = []
        try:
            for i, address in enumerate(hosts.addresses):
                file = folder / ("h%d.toml" % i)
                file.write_text(NODE.format(i=i, folder=folder, address=address, backend=backend,
                                            first="true" if i == 0 else "false",
                                            seeds="" if i == 0 else '"%s:7000"' % hosts.addresses[0]))
                daemons.append(subprocess.Popen(hosts.command(i, program, "node", "--config", str(file)),
                                                stdout=subprocess.PIPE, stderr=open(folder / ("h%d.log" % i), "w"),
                                                text=True))
                if i == 0:
                    assert daemons[0].stdout.readline().startswith("READY "), (folder / "h0.log").read_text()
            for i, daemon in enumerate(daemons[1:], 1):
                assert daemon.stdout.readline().startswith("READY "), (folder / ("h%d.log" % i)).read_text()
            # From another host than the scheduler's, through that host's own daemon.
            job = Job(hosts.command(3, program, "train", "job.toml", "--cluster", hosts.addresses[3] + ":7000",
                                    "--keys", str(folder / "keys/h3"), "--json"), folder)
            done = job.finish(240)
            assert tensors(done["checkpoint"]) == tensors(folder / embedded), "the parameters differ"
            times = [event["iteration_s"] for event in job.of("iteration")]
            if how == "relay":
                # Four stages there and back, three hops each way at least: the delay is really there.
                assert min(times) > 6 * 0.150, times
            known = subprocess.run(hosts.command(3, program, "nodes", "--cluster", hosts.addresses[3] + ":7000",
                                                 "--keys", str(folder / "keys/h3"), "--json"), cwd=folder,
                                   capture_output=True, text=True, check=True)
            links = {}
            for node in json.loads(known.stdout)["nodes"]:
                if node["name"] != "h0":
                    assert node["profile"]["links"] == 3, node
                    links[node["name"]] = node["profile"]["slowest"]
            if how == "veth":  # 200 Mbit/s, of which the frames' headers take their share.
                assert all(0.75 < 8 * x["bandwidth_Bps"] / 200e6 < 1.25 for x in links.values()), links
            else:
                assert all(0.9 < x["latency_s"] / 0.150 < 1.5 for x in links.values()), links
            print("%s: equal to the embedded run, iterations of %s s" % (kind, ["%.2f" % t for t in times]))
            for daemon in daemons:
                daemon.send_signal(signal.SIGINT)
            for daemon in daemons:
                daemon.wait(20)
        except BaseException:
            for log in sorted(folder.glob("*.log")):
                print("==", log.name)
                print(log.read_text()[-2000:])
            raise
        finally:
            for daemon in daemons:
                if daemon.poll() is None:
                    os.kill(daemon.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
