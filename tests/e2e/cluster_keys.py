#!/usr/bin/env python3
"""Who may be a node of a cluster.

usage: cluster_keys.py SKIPPIPE SOURCE_DIR [tokens|revoke]...
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from local_cluster import Cluster, Daemon, wait_until


def token(cluster, *words):
    done = subprocess.run([cluster.program, "token", "create", *words, "--json"], cwd=cluster.folder,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refusals(cluster, name):
    log = (cluster.folder / "runs/cluster/scheduler.log").read_text()
    return [line for line in log.splitlines() if "refused '%s'" % name in line]


def refused(cluster, name, why, given=None):
    """At the node in its last line, at the scheduler in one line."""
    before = len(refusals(cluster, name))
    with Daemon(cluster, name, security={"token": given} if given else {}) as node:
        last = node.wait_refused()
        assert why in last and last.startswith("skippipe: refused by the scheduler: "), last
    lines = refusals(cluster, name)[before:]
    assert len(lines) == 1 and why in lines[0], lines
    assert given is None or given not in lines[0] + last, "a token in clear"
    assert name not in cluster.nodes()


def tokens(program, folder, config):
    with Cluster(program, folder, config, ["cluster.nodes=3", "data_plane.backend=tls"]) as cluster:
        with Daemon(cluster, "early") as node:  # Before the first token was made nobody needs one.
            node.wait_ready()
        first = token(cluster, "--cluster", cluster.control)["token"]
        refused(cluster, "late", "brings no token")
        refused(cluster, "late", "a token that is not known here", "a" * 32)
        with Daemon(cluster, "late", security={"token": first}) as node:
            node.wait_ready()
            assert cluster.nodes()["late"]["state"] == "ready"
        refused(cluster, "other", "a token that was used before", first)
        short = token(cluster, "--config", "runs/cluster/scheduler.toml", "--hours", "0.0001")
        wait_until("the token has expired",
                   lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1)) > short["expires"])
        refused(cluster, "other", "a token that has expired", short["token"])
        # Whoever was in once needs none: not the joined one, nor those from before the first token.
        for name in ("late", "early"):
            with Daemon(cluster, name) as node:
                node.wait_ready()
        wait_until("it has gone", lambda: cluster.nodes()["late"]["state"] == "failed")
        assert cluster.run("remove", "late") == {"name": "late", "state": "removed"}
        refused(cluster, "late", "a token that was used before", first)
        # A node admits nobody.
        done = subprocess.run([program, "token", "create", "--cluster", cluster.control, "--keys",
                               "runs/cluster/keys/node-1"], cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "keys of node 'node-1'" in done.stderr, done
        return "a token admits one node, once, in time"


def main():
    program, source, kinds = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    for kind in kinds:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            config = folder / "cluster.toml"
            config.write_text((source / "configs/local-cluster.toml").read_text().replace("../runs", "runs"))
            print(kind + ": " + globals()[kind](program, folder, config), flush=True)


main()
