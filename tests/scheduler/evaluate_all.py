"""Runs an evaluator module over pairs of instance and schedule files.

usage: evaluate_all.py FOLDER_OF_EVALUATOR FOLDER_OF_PAIRS
Pairs are N.instance.json and N.schedule.json; prints "N makespan violations" per pair.
"""
import json
import pathlib
import sys

sys.path.insert(0, sys.argv[1])
import evaluate

for name in sorted(pathlib.Path(sys.argv[2]).glob("*.instance.json")):
    pair = name.name.split(".")[0]
    result = evaluate.evaluate(json.loads(name.read_text()),
                               json.loads((name.parent / (pair + ".schedule.json")).read_text()))
    print(pair, repr(result["makespan_s"]), len(result["violations"]))
