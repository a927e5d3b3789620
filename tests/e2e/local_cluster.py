"""A cluster of real daemon processes for tests: `with Cluster(program, folder, words) as c: c.train(...)`."""
import json
import os
import pathlib
import signal
import struct
import subprocess
import threading
import time

# The models that tests train: any byte is a token.
TINY_MODEL = """
[model]
dim = 32
layers = 4
heads = 4
kv_heads = 2
ffn = 48
vocab = 257
context = 32
"""
SMALL_MODEL = """
[model]
dim = 64
layers = 4
heads = 4
kv_heads = 2
ffn = 128
vocab = 257
context = 64
"""


def wait_until(what, condition, seconds=60):
    """Polls an outside state that cannot be waited for otherwise."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError("not in %d s: %s" % (seconds, what))


def run(folder, *words):
    return subprocess.run([str(word) for word in words], cwd=folder, capture_output=True, text=True, timeout=120)


def refused(folder, *words, status=1):
    """The one line that a command ends with."""
    done = run(folder, *words)
    assert done.returncode == status and done.stderr.count("\n") == 1, done
    return done.stderr


def tensors(checkpoint):
    """Name -> bytes, of all safetensors files: the parameters and the optimizer's state."""
    result = {}
    for file in sorted(pathlib.Path(checkpoint).glob("*.safetensors")):
        data = file.read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        for name, info in json.loads(data[8:8 + size]).items():
            if name != "__metadata__":
                begin, end = info["data_offsets"]
                result[name] = data[8 + size + begin:8 + size + end]
    assert result, "no tensors in %s" % checkpoint
    return result


def prepare_data(program, source, out, files=("README.md", "ARCHITECTURE.md", "LICENSE")):
    subprocess.run([program, "data", "prepare", "--input", *[str(source / file) for file in files],
                    "--tokenizer", "byte", "--out", str(out)], check=True, capture_output=True)


class Job:
    """train --cluster or attach, its events as they come."""

    def __init__(self, words, folder):
        self.process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        self.events = []
        self.changed = threading.Condition()
        self.ended = False  # No more events will come.
        self.errors = []
        self.readers = [threading.Thread(target=self._read), threading.Thread(target=self._read_errors)]
        for reader in self.readers:
            reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.events.append(json.loads(line))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def _read_errors(self):
        self.errors.extend(self.process.stderr)

    def of(self, kind):
        with self.changed:
            return [e for e in self.events if e["event"] == kind]

    def wait_for(self, condition, seconds=120):
        """The first event for which `condition` holds."""
        end = time.monotonic() + seconds
        seen = 0
        with self.changed:
            while True:
                for event in self.events[seen:]:
                    if condition(event):
                        return event
                seen = len(self.events)
                if self.ended or not self.changed.wait(max(0, end - time.monotonic())):
                    raise AssertionError("not in time or ever; last events %s, errors %s"
                                         % (self.events[-3:], "".join(self.errors)[-2000:]))

    def never(self, condition, seconds):
        """No event for which `condition` holds comes within so long, and events do come."""
        end = time.monotonic() + seconds
        seen = 0
        with self.changed:
            while True:
                for event in self.events[seen:]:
                    assert not condition(event), event
                seen = len(self.events)
                left = end - time.monotonic()
                if left <= 0:
                    return
                assert not self.ended and self.changed.wait(min(left, 60)) or left < 60, "no events any more"

    def wait_iteration(self, number, seconds=120):
        return self.wait_for(lambda e: e["event"] == "iteration" and e["iteration"] >= number, seconds)

    def finish(self, seconds=240):
        """The last event; the process must have ended well."""
        status = self.process.wait(seconds)
        for reader in self.readers:
            reader.join()
        assert status == 0, "status %d: %s" % (status, "".join(self.errors)[-3000:])
        return self.events[-1]


class Cluster:
    def __init__(self, program, folder, file, words=()):
        self.program, self.folder = program, pathlib.Path(folder)
        self.environment = dict(os.environ, XDG_STATE_HOME=str(self.folder / "state"))
        os.environ["XDG_STATE_HOME"] = str(self.folder / "state")
        command = [program, "up", str(file), "--json"]
        for word in words:
            command += ["--set", word]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=self.environment)
        line = self.process.stdout.readline()
        self.ready = json.loads(line or "{}")
        if "control" not in self.ready:
            raise AssertionError("no cluster: " + line + self.process.stderr.read())
        self.control = self.ready["control"]
        self.pids = {node["name"]: node["pid"] for node in self.ready["nodes"]}

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.rest = self.process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        if problem[0] is not None:
            for log in sorted(self.folder.rglob("*.log")):
                print("==", log.name)
                print(log.read_text()[-2000:])

    def run(self, *words):
        done = subprocess.run([self.program, *words, "--cluster", self.control, "--json"], cwd=self.folder,
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def train(self, job, *words):
        return Job([self.program, "train", str(job), "--cluster", self.control, "--json", *words], self.folder)

    def attach(self, job):
        return Job([self.program, "attach", job, "--cluster", self.control, "--json"], self.folder)

    def nodes(self):
        return {node["name"]: node for node in self.run("nodes")["nodes"]}

    def kill(self, name, number=signal.SIGKILL):
        os.kill(self.pids[name], number)

    def node_file(self, name, **tables):
        """Of a node beside a cluster that uses TLS, with a certificate of the cluster's authority."""
        keys = self.folder / "runs/cluster/keys" / name
        if not keys.exists():
            subprocess.run([self.program, "certs", "issue", name, "--dir", "runs/cluster/keys"], cwd=self.folder,
                           check=True, capture_output=True)
        base = {"node": {"name": name, "cluster": "local", "dir": name, "seeds": [self.control]},
                "security": {"mode": "tls", "ca": "%s/ca.pem" % keys, "certificate": "%s/certificate.pem" % keys,
                             "key": "%s/key.pem" % keys},
                "data_plane": {"backend": "tls"}}
        for table, words in tables.items():
            base.setdefault(table, {}).update(words)
        file = self.folder / (name + ".toml")
        file.write_text("".join("[%s]\n%s" % (table, "".join("%s = %s\n" % (key, json.dumps(value))
                                                             for key, value in words.items()))
                                for table, words in base.items()))
        return file

    def check_node(self, name, **tables):
        """What `node --check --connect` says of such a node: its exit code, and of the cluster."""
        done = subprocess.run([self.program, "node", "--config", str(self.node_file(name, **tables)), "--check",
                               "--connect"], cwd=self.folder, capture_output=True, text=True, timeout=60)
        lines = [line for line in done.stdout.splitlines() if line.startswith("  cluster '")]
        assert len(lines) == 1, done
        return done.returncode, lines[0]


class Daemon:
    """Such a node."""

    def __init__(self, cluster, name, **tables):
        self.cluster, self.name, self.folder = cluster, name, cluster.folder
        self.file = cluster.node_file(name, **tables)
        self.log = self.folder / (name + ".log")
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([cluster.program, "node", "--config", str(self.file)], cwd=self.folder,
                                            stdout=subprocess.PIPE, stderr=log, text=True)

    def wait_ready(self):
        line = self.process.stdout.readline()
        assert line.startswith("READY "), self.log.read_text()
        return json.loads(line[6:])

    def wait_refused(self):
        """The one line that it ends with."""
        assert self.process.stdout.readline() == "" and self.process.wait(30) == 1, self.log.read_text()
        return self.log.read_text().splitlines()[-1]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
