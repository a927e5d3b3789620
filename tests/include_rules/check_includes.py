"""Fails when an #include crosses the folders against the rules below.

Usage: check_includes.py SOURCE_ROOT. Prints file:line of each offence; exit 1 if there is any.
"""

import pathlib
import re
import sys

# Which folders a folder may include from, besides itself.
FOLDERS = {
    "scheduler": set(),
    "transport": set(),
    "model": set(),
    "actors": {"scheduler", "model", "transport"},
    "runtime": {"actors", "scheduler", "model", "transport"},
}

# A library's headers by their first folder (or whole name), and the paths that may use them.
LIBRARIES = [
    ("CAF", r"caf/", ("actors/", "runtime/")),
    ("LibTorch", r"(ATen|torch|c10|caffe2)/",
     ("model/", "actors/torch_", "actors/tensor_bridge")),
    ("UCX", r"(ucp|ucs|uct|ucm)/", ("transport/ucx/",)),
    ("OpenSSL", r"openssl/", ("transport/", "model/", "runtime/")),
    ("toml++", r"toml(\+\+|plusplus)?[/.]", ("runtime/",)),
    ("CLI11", r"CLI/", ("runtime/",)),
    ("spdlog", r"(spdlog|fmt)/", ("runtime/",)),
    ("nlohmann-json", r"nlohmann/", ("model/", "runtime/")),
    ("SentencePiece", r"sentencepiece", ("model/",)),
    ("Catch2", r"catch2/", ()),
    ("rapidcheck", r"rapidcheck", ()),
    ("Google Benchmark", r"benchmark/", ()),
]

# Libraries that take a compiler many seconds, and the headers of runtime/ that may bring them along, be it
# through others.
HEAVY = {"LibTorch": (), "CLI11": ("runtime/cli.hpp", "runtime/commands/")}

# What a header of the C++ standard library looks like: no folder, no extension.
STANDARD = re.compile(r"[a-z_0-9]+$")
STANDARD_ONLY = "scheduler/"

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def offence(path, quote, header):
    """Why `header` may not be included by `path` (relative, with slashes), or None."""
    folder = path.split("/")[0]
    if quote == '"':
        target = header.split("/")[0]
        if target not in FOLDERS or "/" not in header:
            return "project headers are included as \"folder/file.hpp\" from the source root"
        if target != folder and target not in FOLDERS[folder]:
            allowed = ", ".join(sorted(FOLDERS[folder])) or "no other folder"
            return f"{folder}/ may include from {allowed}"
        return None
    for name, pattern, users in LIBRARIES:
        if re.match(pattern, header) and not path.startswith(users):
            return f"{name} belongs to {', '.join(users) or 'tests and benchmarks'} only"
    if path.startswith(STANDARD_ONLY) and not STANDARD.match(header):
        return f"{STANDARD_ONLY} uses the C++ standard library only"
    if header.split("/")[0] in FOLDERS:
        return "project headers are included in quotes"
    return None


def brought_along(header, included):
    """All that including `header` includes; `included` lists what each file names itself."""
    found, ahead = set(), [header]
    while ahead:
        for name in included.get(ahead.pop(), ()):
            if name not in found:
                found.add(name)
                ahead.append(name)
    return found


def check(root):
    """All offences below `root` as lines, and the number of files read."""
    lines, files, included = [], 0, {}
    for folder in FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in (".hpp", ".cpp", ".h", ".cc", ".ipp"):
                continue
            files += 1
            path = file.relative_to(root).as_posix()
            for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                match = INCLUDE.match(text)
                if match:
                    included.setdefault(path, []).append(match.group(2))
                reason = match and offence(path, *match.groups())
                if reason:
                    lines.append(f"{path}:{number}: {match.group(2)}: {reason}")
    for path in sorted(included):
        if not path.startswith("runtime/") or not path.endswith(".hpp"):
            continue
        for name, pattern, _ in LIBRARIES:
            if name not in HEAVY or path.startswith(HEAVY[name]):
                continue
            if any(re.match(pattern, x) for x in brought_along(path, included)):
                lines.append(f"{path}:1: {name} is too heavy for this header to bring along: "
                             "declare what it names, include it in the source file")
    return lines, files


def main():
    root = pathlib.Path(sys.argv[1])
    lines, files = check(root)
    print("\n".join(lines))
    if files == 0:
        sys.exit(f"include_rules: no source file below {root}")
    print(f"include_rules: {files} files, {len(lines)} offences")
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
