"""The include check must see each kind of offence, and let the allowed edges pass."""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from check_includes import check

ALLOWED = [
    ("scheduler/a.cpp", '"scheduler/a.hpp"'),
    ("scheduler/a.cpp", "<vector>"),
    ("actors/a.cpp", '"scheduler/a.hpp"'),
    ("actors/a.cpp", '"transport/a.hpp"'),
    ("actors/a.cpp", "<caf/all.hpp>"),
    ("actors/tensor_bridge.cpp", "<ATen/ATen.h>"),
    ("actors/torch_shard.cpp", "<ATen/Parallel.h>"),
    ("model/a.cpp", "<torch/torch.h>"),
    ("transport/ucx/a.hpp", "<ucp/api/ucp.h>"),
    ("transport/tls/a.cpp", "<sys/socket.h>"),
    ("runtime/a.cpp", "<toml++/toml.h>"),
    ("runtime/commands/a.cpp", '"actors/a.hpp"'),
]

FORBIDDEN = [
    ("scheduler/a.cpp", '"model/a.hpp"'),
    ("scheduler/a.cpp", '"transport/a.hpp"'),
    ("scheduler/a.cpp", "<nlohmann/json.hpp>"),
    ("scheduler/a.cpp", "<unistd.h>"),
    ("scheduler/a.cpp", "<sys/mman.h>"),
    ("scheduler/a.cpp", "<caf/all.hpp>"),
    ("transport/a.cpp", '"scheduler/ids.hpp"'),
    ("transport/a.cpp", "<ucp/api/ucp.h>"),
    ("transport/tls/a.cpp", "<ucs/type/status.h>"),
    ("transport/a.cpp", "<caf/all.hpp>"),
    ("model/a.cpp", '"scheduler/ids.hpp"'),
    ("model/a.cpp", "<caf/all.hpp>"),
    ("actors/a.cpp", '"runtime/a.hpp"'),
    ("actors/stage.cpp", "<ATen/ATen.h>"),
    ("actors/stage.cpp", "<torch/torch.h>"),
    ("actors/a.cpp", "<ucp/api/ucp.h>"),
    ("actors/a.cpp", "<toml++/toml.h>"),
    ("actors/a.cpp", "<spdlog/spdlog.h>"),
    ("actors/a.cpp", "<CLI/CLI.hpp>"),
    ("runtime/a.cpp", "<ATen/ATen.h>"),
    ("runtime/a.cpp", "<catch2/catch.hpp>"),
    ("runtime/a.cpp", '"neighbour.hpp"'),
    ("runtime/a.cpp", '"../actors/a.hpp"'),
    ("runtime/a.cpp", "<model/a.hpp>"),
    ("runtime/deep/er/a.hpp", '"tests/a.hpp"'),
]


class CheckIncludes(unittest.TestCase):
    def offences(self, path, header):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / path
            file.parent.mkdir(parents=True)
            file.write_text(f"// A file.\n#  include {header}\n")
            lines, files = check(pathlib.Path(folder))
            self.assertEqual(files, 1)
            return lines

    def test_allowed(self):
        for path, header in ALLOWED:
            with self.subTest(path=path, header=header):
                self.assertEqual(self.offences(path, header), [])

    def test_forbidden(self):
        for path, header in FORBIDDEN:
            with self.subTest(path=path, header=header):
                lines = self.offences(path, header)
                self.assertEqual(len(lines), 1)
                self.assertTrue(lines[0].startswith(f"{path}:2: "), lines[0])

    def test_heavy(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for path, header in [
                ("model/shard.hpp", "<ATen/core/Tensor.h>"),
                ("model/snapshot.hpp", '"model/shard.hpp"'),
                ("runtime/train/checkpointing.hpp", '"model/snapshot.hpp"'),
                ("runtime/train/checkpointing.cpp", '"model/snapshot.hpp"'),
                ("runtime/cli.hpp", "<CLI/CLI.hpp>"),
                ("runtime/commands/a.hpp", '"runtime/cli.hpp"'),
                ("runtime/train/reporter.hpp", '"runtime/cli.hpp"'),
                ("runtime/light.hpp", "<string>"),
            ]:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(f"#include {header}\n")
            lines, _ = check(root)
            self.assertEqual([line.split(" is too heavy")[0] for line in lines],
                             ["runtime/train/checkpointing.hpp:1: LibTorch",
                              "runtime/train/reporter.hpp:1: CLI11"])


if __name__ == "__main__":
    unittest.main()
