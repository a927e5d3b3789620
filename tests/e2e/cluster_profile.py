#!/usr/bin/env python3
"""Every node's tasks, links and clock are measured before and while a job runs, within the bounds that the
configuration sets; the run folder has the problem as it was measured, and it can be planned.

usage: cluster_profile.py SKIPPIPE SOURCE_DIR
"""
import json
import pathlib
import subprocess
import sys
import tempfile

from cluster_equal import JOB
from local_cluster import Cluster, prepare_data, wait_until

PROBE_BYTES = 1 << 20


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare_data(program, source, folder / "data")
        (folder / "job.toml").write_text(JOB.replace("nodes = 8", "nodes = 5").replace("iterations = 12", "iterations = 40"))
        config = folder / "cluster.toml"
        config.write_text((source / "configs/local-cluster.toml").read_text().replace("../runs", "runs"))
        with Cluster(program, folder, config, ["cluster.nodes=6", "profile.probe_bytes=%d" % PROBE_BYTES]) as cluster:
            job = cluster.train("job.toml")
            job.wait_iteration(1)
            probing = cluster.run("status")["job"]["probing"]
            assert probing["nodes"] == 5, probing
            # 10 pairs, both directions; at least the first payload of each.
            assert 20 * 65536 <= probing["bytes"] <= 20 * PROBE_BYTES, probing
            assert probing["seconds"] < 15, probing
            done = job.finish()
            def members():
                found = {name: node for name, node in cluster.nodes().items() if not node["scheduler"]}
                return all("clock_uncertainty_s" in node["profile"] for node in found.values()) and found

            clocks = wait_until("clocks", members)
            assert len(clocks) == 5, clocks
            for name, node in clocks.items():
                profile = node["profile"]
                assert 0 < profile["forward_s"] < 1 and 0 < profile["backward_s"] < 1, (name, profile)
                assert (profile["loss_s"] > 0) == (profile["stage"] == 0), (name, profile)
                assert profile["links"] == 4, (name, profile)
                slowest = profile["slowest"]
                assert slowest["peer"] in clocks and slowest["peer"] != name, (name, profile)
                # The same machine, however busy.
                assert 0 <= slowest["latency_s"] < 1 and slowest["bandwidth_Bps"] > 1e4, (name, profile)
                # The same clock, too; and it is known how well that is known.
                assert 0 < profile["clock_uncertainty_s"] < 0.5, (name, profile)
                assert abs(profile["clock_offset_s"]) <= profile["clock_uncertainty_s"] + 0.05, (name, profile)
            instance = pathlib.Path(done["checkpoint"]).parents[1] / "instance.json"
            measured = json.loads(instance.read_text())
            assert len(measured["node_stage_s"]) == 5 and len(measured["node_stage_s"][0]) == 4, measured
            assert len(measured["latency_s"]) == 5 and min(map(min, measured["link_s"])) == 0, measured
            assert measured["nodes"][0]["name"].startswith("node-"), measured["nodes"]
            plan = subprocess.run([program, "plan", "--instance", str(instance), "--json"], capture_output=True,
                                  text=True)
            assert plan.returncode == 0, plan.stderr
            assert json.loads(plan.stdout)["valid"], plan.stdout
            # What is known and fresh is not measured again.
            again = cluster.train("job.toml", "--iterations", "2")
            again.finish()
            assert [e for e in job.of("note") if "measured" in e["text"]], job.of("note")
            assert not [e for e in again.of("note") if "measured" in e["text"]], "probed twice"
            text = subprocess.run([program, "status", "--cluster", cluster.control], cwd=folder, capture_output=True,
                                  text=True, check=True).stdout
            assert "MB/s" in text and text.count("node-") >= 5, text
            print("probed %(nodes)d nodes with %(bytes)d bytes in %(seconds).2f s" % probing)
            print(text)


if __name__ == "__main__":
    main()
