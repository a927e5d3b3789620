#!/usr/bin/env python3
"""Who may be a node of a cluster.

usage: cluster_keys.py SKIPPIPE SOURCE_DIR [tokens|revoke|renew]...
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from local_cluster import Cluster, Daemon, wait_until
from strangers import address, certificate_of, over_tls


def token(cluster, *words):
    done = subprocess.run([cluster.program, "token", "create", *words, "--json"], cwd=cluster.folder,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refusals(cluster, name):
    log = (cluster.folder / "runs/cluster/scheduler.log").read_text()
    return [line for line in log.splitlines() if "refused '%s'" % name in line]


def refused(cluster, name, why, given=None):
    """At the node in its last line, at the scheduler in one line; a check beforehand says so, too."""
    before = len(refusals(cluster, name))
    code, line = cluster.check_node(name, security={"token": given} if given else {})
    assert code == 1 and "it would refuse this node: " in line and why in line, line
    assert len(refusals(cluster, name)) == before, "a check is no try"
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
        # A check finds nothing wrong, and uses nothing up.
        code, line = cluster.check_node("late", security={"token": first})
        assert code == 0 and line.endswith("its scheduler at %s would take this node in" % cluster.control), line
        assert "late" not in cluster.nodes()
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


def certs(cluster, *words):
    return subprocess.run([cluster.program, "certs", *words], cwd=cluster.folder, capture_output=True, text=True,
                          timeout=60)


def log_of(cluster, name):
    return (cluster.folder / "runs/cluster" / (name + ".log")).read_text()


def all_ports(cluster, but):
    return [address(node[key]) for node in cluster.ready["nodes"] for key in ("control", "data")
            if node[key] and node["name"] != but]


def revoke(program, folder, config):
    """Only the scheduler is told, over the control plane: the authority's folder is on no node."""
    with Cluster(program, folder, config, ["cluster.nodes=4", "data_plane.backend=tls"]) as cluster:
        keys = folder / "runs/cluster/keys"
        shutil.copytree(keys, folder / "away")
        stolen = folder / "away/node-2"
        ports = all_ports(cluster, but="node-2")
        outcome = over_tls(ports[0], stolen)
        assert not outcome.startswith("refused"), outcome
        done = certs(cluster, "revoke", "node-2", "--dir", "away", "--cluster", cluster.control)
        assert done.returncode == 0, done.stderr
        wait_until("the stolen node is cut off", lambda: cluster.nodes()["node-2"]["state"] == "failed")
        good = ["node-1", "node-3"]
        for name in good:
            wait_until(name + " knows", lambda: "took over a newer list" in log_of(cluster, name))
        for where in ports:
            wait_until("%s:%d refuses it" % where, lambda: over_tls(where, stolen).startswith("refused"))
        # Neither an older list nor a stranger's is taken, whoever brings it.
        newer = (folder / "runs/cluster/node-1/revoked.pem").read_bytes()
        subprocess.run(["cp", str(keys / "node-1/revoked.pem"), str(keys / "node-1/older.pem")], check=True)
        os.replace(keys / "node-1/older.pem", keys / "node-1/revoked.pem")
        wait_until("an older list is seen", lambda: "older than the list in use" in log_of(cluster, "node-1"))
        assert certs(cluster, "init", "--dir", "theirs").returncode == 0
        assert certs(cluster, "issue", "node-1", "--dir", "theirs").returncode == 0
        done = certs(cluster, "revoke", "node-1", "--dir", "theirs", "--cluster", cluster.control)
        assert done.returncode == 1 and "did not sign it" in done.stderr, done
        shutil.copy(folder / "theirs/revoked.pem", keys / "node-3/new.pem")
        os.replace(keys / "node-3/new.pem", keys / "node-3/revoked.pem")
        wait_until("a stranger's list is seen", lambda: "did not sign it" in log_of(cluster, "node-3"))
        for name in good:
            assert (folder / "runs/cluster" / name / "revoked.pem").read_bytes() == newer
            assert cluster.nodes()[name]["state"] == "ready"
        # A node that comes later is told as it joins; one that knows more than the scheduler tells it.
        assert certs(cluster, "issue", "late", "--dir", "away").returncode == 0
        late = dict(ca="away/late/ca.pem", certificate="away/late/certificate.pem", key="away/late/key.pem")
        shutil.copy(keys / "operator/revoked.pem", folder / "away/late/revoked.pem")
        with Daemon(cluster, "late", security=late) as node:
            node.wait_ready()
            wait_until("it is told", lambda: "took over a newer list" in node.log.read_text())
            assert certs(cluster, "revoke", "node-3", "--dir", "away").returncode == 0
            wait_until("the scheduler is told by a node", lambda: cluster.nodes()["node-3"]["state"] == "failed")
            wait_until("node-1 is told", lambda: log_of(cluster, "node-1").count("took over a newer list") == 2)
        return "a stolen node is cut off from all"


def renew(program, folder, config):
    """A node is warned of its certificate's end; a new one serves as soon as it is there."""
    with Cluster(program, folder, config, ["cluster.nodes=2", "data_plane.backend=tls"]) as cluster:
        keys = folder / "runs/cluster/keys"
        assert certs(cluster, "issue", "short", "--days", "3", "--dir", str(keys)).returncode == 0
        with Daemon(cluster, "short") as node:
            ready = node.wait_ready()
            assert "expires in 2 days; run `skippipe certs renew short`" in node.log.read_text(), node.log.read_text()
            ports = [address(ready[key]) for key in ("control", "data")]
            before = [certificate_of(where, keys / "operator") for where in ports]
            assert before[0] == before[1]
            assert certs(cluster, "renew", "short", "--dir", str(keys)).returncode == 0
            for where in ports:
                wait_until("the new certificate serves",
                           lambda: certificate_of(where, keys / "operator") != before[0])
            assert cluster.nodes()["short"]["state"] == "ready", "its connections were cut"
        return "a renewed certificate serves at once"


def main():
    program, source, kinds = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    for kind in kinds:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            config = folder / "cluster.toml"
            config.write_text((source / "configs/local-cluster.toml").read_text().replace("../runs", "runs"))
            print(kind + ": " + globals()[kind](program, folder, config), flush=True)


main()
