#!/usr/bin/env python3
"""Asks the reference for the values of the expression cases.

usage: expression-cases.py JUST [CASES-DIRECTORY]

Each FILE.json there is a list of expressions. Each is made the provided value of a rule, in a
workspace as crates/expr/tests/cases.rs describes it, and what the binary JUST says goes, a line a
case, to FILE.exp: the value's JSON text, or `ERROR` and, where a rule's author speaks, the first line
of that. VERSION records which binary it was. The tests do not need it.
"""

import json, os, re, subprocess, sys, tempfile
from concurrent.futures import ThreadPoolExecutor

JUST = os.path.abspath(sys.argv[1])
CASES = sys.argv[2] if len(sys.argv) > 2 else "crates/expr/tests/cases"
CONFIG = {"X": "ex", "N": None, "L": ["a", "b", "a"], "M": {"a": 1, "b": None}, "F": False}


def rules(expression):
    provides = {"type": "singleton_map", "key": "value", "value": expression}
    return {
        "case": {
            "string_fields": ["words"],
            "target_fields": ["deps"],
            "config_vars": sorted(CONFIG),
            "tainted": ["test"],
            "imports": {"f": "f", "fail": "fail"},
            "expression": {"type": "RESULT", "provides": provides},
        },
        "lib": {
            "expression": {
                "type": "RESULT",
                "artifacts": {"type": "singleton_map", "key": "l", "value": {"type": "BLOB", "data": "lib"}},
                "provides": {"type": "'", "$1": {"p": ["provided"], "null": None}},
            }
        },
    }


TARGETS = {"case": {"type": "case", "words": ["v", "w"], "deps": ["f.txt", "lib"], "tainted": ["test"]}, "lib": {"type": "lib"}}
EXPRESSIONS = {
    "f": {"vars": ["a", "X"], "expression": {"type": "env", "vars": ["a", "X", "L"]}},
    "fail": {"expression": {"type": "fail", "msg": "called"}},
}


def ask(expression, build_root):
    with tempfile.TemporaryDirectory() as work:
        def write(name, content):
            with open(os.path.join(work, name), "w") as out:
                out.write(content)
        write("ROOT", "")
        write("f.txt", "")
        write("TARGETS", json.dumps(TARGETS))
        write("RULES", json.dumps(rules(expression)))
        write("EXPRESSIONS", json.dumps(EXPRESSIONS))
        command = [JUST, "analyse", "--local-build-root", build_root, "--plain-log", "-D", json.dumps(CONFIG),
                   "--dump-result", "-", "case"]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    if done.returncode == 0:
        text = done.stdout.strip()
        start = text.index('"provides":{"value":') + len('"provides":{"value":')
        return text[start:text.rindex('},"runfiles":')]
    said = re.search(r"^ *(UserError: .*|In Context .*)$", done.stderr, re.M)
    return "ERROR" + (" " + said.group(1) if said else "")


with tempfile.TemporaryDirectory() as build_root:
    for name in sorted(os.listdir(CASES)):
        if name.endswith(".json"):
            path = os.path.join(CASES, name)
            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(lambda case: ask(case, build_root), json.load(open(path))))
            with open(path[:-5] + ".exp", "w") as out:
                out.write("".join(answer + "\n" for answer in answers))
with open(os.path.join(CASES, "VERSION"), "w") as out:
    out.write(subprocess.run([JUST, "version"], capture_output=True, text=True).stdout)
