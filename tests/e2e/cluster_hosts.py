#!/usr/bin/env python3
"""A deterministic job over five hosts with addresses of their own equals the embedded one bit for bit.

usage: cluster_hosts.py SKIPPIPE SOURCE_DIR veth-ucx|veth-tls|relay-tls

veth: two bridges, 200 Mbit/s from each host; messages by one, tensors by the other. relay: 150 ms for every frame,
each way. Both are found by the probes before the job. Ends with 77 and says why where hosts cannot be made.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from hosts import Hosts, missing, sh
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
data_listen = "{data}:7001"
seeds = [{seeds}]
[scheduler]
enabled = {first}
dedicated = {first}
[security]
mode = "tls"
ca = "{folder}/keys/h{i}/ca.pem"
certificate = "{folder}/keys/h{i}/certificate.pem"
key = "{folder}/keys/h{i}/key.pem"
trusted_interfaces = ["eth1"]
[data_plane]
backend = "{backend}"
"""


def check_devices(program, hosts, file):
    """What is wrong with an interface is one line, which names those that are here."""
    other = file.with_name("other.toml")

    def run(line, *words):
        """With that line in place of the one of the same key."""
        key = line.split()[0]
        lines = [line if old.startswith(key + " ") else old for old in file.read_text().splitlines()]
        other.write_text("\n".join(lines) + "\n")
        return subprocess.run(hosts.command(0, program, "node", "--config", str(other), *words), capture_output=True,
                              text=True, timeout=60)

    sh("ip", "-n", hosts.names[0], "addr", "add", "10.79.0.1/24", "dev", "eth1")
    here = "eth0 (10.77.0.1), eth1 (10.78.0.1, 10.79.0.1)"
    fine = run('trusted_interfaces = ["eth1"]', "--check")
    assert fine.returncode == 0 and fine.stderr == "", fine
    warned = run('trusted_interfaces = ["eth1", "eht0"]', "--check")
    assert warned.returncode == 0 and "no 'eht0' here, but " + here in warned.stderr, warned
    for line, what in [('trusted_interfaces = ["eht1"]', "no 'eht1' here, but " + here),
                       ('trusted_interfaces = ["eth0"]', "'10.78.0.1' of 'eth1'; name it in"),
                       ('data_listen = "10.78.0.9:7001"', "got '10.78.0.9'; here are " + here),
                       # The interface's, but UCX would listen on the first one.
                       ('data_listen = "10.79.0.1:7001"', "expected '10.78.0.1'")]:
        for words in ["--check"], []:  # The daemon itself says the same.
            wrong = run(line, *words)
            assert wrong.returncode == 1 and wrong.stderr.count("\n") == 1, (line, wrong)
            assert str(other) + ":" in wrong.stderr and what in wrong.stderr, (line, wrong)


def check_bytes(hosts, host):
    """Tensors go by eth1 and by nothing else."""
    table = subprocess.run(hosts.command(host, "cat", "/proc/net/tcp", "/proc/net/tcp6"), check=True,
                           capture_output=True, text=True).stdout
    port = ":%04X" % 7001
    listening = [words[1] for words in map(str.split, table.splitlines()) if words[3] == "0A" and port in words[1]]
    assert listening == ["%02X004E0A%s" % (host + 1, port)], listening  # 10.78.0.x
    control, data = hosts.sent(host, "eth0"), hosts.sent(host, "eth1")
    print("h%d sent %.1f MB by eth1, %.1f MB by eth0" % (host, 1e-6 * data, 1e-6 * control))
    assert data > 3 * control, (control, data)


class Daemons:
    """One for each host, the first schedules; a folder with their files, keys and logs."""

    def __init__(self, program, folder, hosts, backend):
        self.program, self.folder, self.hosts, self.all = program, folder, hosts, []
        names = ["h%d" % i for i in range(len(hosts.names))]
        for words in (["init"], ["issue", *names]):
            subprocess.run([program, "certs", *words, "--dir", "keys"], cwd=folder, check=True, capture_output=True)
        self.files = [folder / (name + ".toml") for name in names]
        for i, address in enumerate(hosts.addresses):
            self.files[i].write_text(NODE.format(
                i=i, folder=folder, address=address, data=hosts.others[i] if hosts.others else address,
                backend=backend, first="true" if i == 0 else "false",
                seeds="" if i == 0 else '"%s:7000"' % hosts.addresses[0]))

    def start(self):
        for i, file in enumerate(self.files):
            self.all.append(subprocess.Popen(self.hosts.command(i, self.program, "node", "--config", str(file)),
                                             stdout=subprocess.PIPE, stderr=open(self.folder / ("h%d.log" % i), "w"),
                                             text=True))
            if i == 0:
                self.wait_ready(0)
        for i in range(1, len(self.all)):
            self.wait_ready(i)

    def wait_ready(self, i):
        assert self.all[i].stdout.readline().startswith("READY "), (self.folder / ("h%d.log" % i)).read_text()

    def words(self, *words):
        """From another host than the scheduler's, through that host's own daemon."""
        return self.hosts.command(3, self.program, *words, "--cluster", self.hosts.addresses[3] + ":7000",
                                  "--keys", str(self.folder / "keys/h3"), "--json")

    def run(self, *words):
        done = subprocess.run(self.words(*words), cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        if problem[0] is None:
            for daemon in self.all:
                daemon.send_signal(signal.SIGINT)
            for daemon in self.all:
                daemon.wait(20)
            return
        for log in sorted(self.folder.glob("*.log")):
            print("==", log.name)
            print(log.read_text()[-2000:])
        for daemon in self.all:
            if daemon.poll() is None:
                os.kill(daemon.pid, signal.SIGKILL)


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
        with Daemons(program, folder, hosts, backend) as daemons:
            if kind == "veth-ucx":
                check_devices(program, hosts, daemons.files[0])
            daemons.start()
            job = Job(daemons.words("train", "job.toml"), folder)
            done = job.finish(240)
            assert tensors(done["checkpoint"]) == tensors(folder / embedded), "the parameters differ"
            times = [event["iteration_s"] for event in job.of("iteration")]
            if how == "relay":
                # Four stages there and back, three hops each way at least: the delay is really there.
                assert min(times) > 6 * 0.150, times
            links = {}
            for node in daemons.run("nodes")["nodes"]:
                if node["name"] != "h0":
                    assert node["profile"]["links"] == 3, node
                    links[node["name"]] = node["profile"]["slowest"]
            if how == "veth":  # 200 Mbit/s, of which the frames' headers take their share.
                assert all(0.75 < 8 * x["bandwidth_Bps"] / 200e6 < 1.25 for x in links.values()), links
                for host in range(1, 5):
                    check_bytes(hosts, host)
            else:
                assert all(0.9 < x["latency_s"] / 0.150 < 1.5 for x in links.values()), links
            print("%s: equal to the embedded run, iterations of %s s" % (kind, ["%.2f" % t for t in times]))


if __name__ == "__main__":
    main()
