#!/usr/bin/env python3
"""A node that nobody can dial takes part in a deterministic job by way of a relay node: equal to the embedded run
bit for bit. Nodes that listen do so where node.ports and node.advertise say.

usage: cluster_relay.py SKIPPIPE SOURCE_DIR
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from cluster_hosts import JOB
from local_cluster import Cluster, Daemon, prepare_data, tensors, wait_until


def listeners(pid):
    """Ports that a process listens on."""
    sockets = set()
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            sockets.add(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
        except FileNotFoundError:
            pass
    ports = []
    for family in ("tcp", "tcp6"):
        for line in open("/proc/%d/net/%s" % (pid, family)).read().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and "socket:[%s]" % fields[9] in sockets:
                ports.append(int(fields[1].rsplit(":", 1)[1], 16))
    return sorted(ports)


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare_data(program, source, folder / "data")
        (folder / "job.toml").write_text(JOB)
        run = subprocess.run([program, "train", "job.toml", "--json"], cwd=folder, capture_output=True, text=True,
                             check=True)
        embedded = json.loads(run.stdout.splitlines()[-1])["checkpoint"]
        config = folder / "cluster.toml"
        config.write_text((source / "configs/local-cluster.toml").read_text().replace("../runs", "runs"))
        # The job has four stages and four nodes serve them: two of the cluster's own, the relay, the inner node.
        with Cluster(program, folder, config, ["cluster.nodes=3", "data_plane.backend=tls"]) as cluster, \
                Daemon(cluster, "inner", node={"relay": "gateway", "listen": "off"}) as inner:
            wait_until("it looks for its relay", lambda: "its relay 'gateway' is not in this cluster; trying again" in
                       inner.log.read_text())
            low = 20000 + os.getpid() % 20000
            with Daemon(cluster, "gateway", node={"listen": "0.0.0.0:0", "data_listen": "0.0.0.0:0",
                                                  "advertise": "localhost", "ports": "%d-%d" % (low, low + 99)},
                        data_plane={"relay_listen": "0.0.0.0:0"}) as gateway:
                where = gateway.wait_ready()
                ports = listeners(where["pid"])
                assert len(ports) == 3 and all(low <= port < low + 100 for port in ports), (ports, low)
                for key in ("control", "data"):
                    host, port = where[key].rsplit(":", 1)
                    assert host == "localhost" and int(port) in ports, where
                ready = inner.wait_ready()  # It began before there was a relay.
                assert ready["control"] == "" and ready["data"].startswith("relay 127.0.0.1:"), ready
                assert listeners(ready["pid"]) == [], listeners(ready["pid"])
                job = cluster.train("job.toml")
                job.wait_iteration(1)
                serving = [name for name, node in cluster.nodes().items() if node["stage"] is not None]
                assert sorted(serving) == ["gateway", "inner", "node-1", "node-2"], serving
                assert tensors(job.finish()["checkpoint"]) == tensors(folder / embedded), "the parameters differ"
                print("equal to the embedded run, one node behind a relay")


main()
