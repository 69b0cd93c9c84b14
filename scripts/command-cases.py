#!/usr/bin/env python3
"""Writes the cases of subcommands, with the answers of the reference.

usage: command-cases.py JUST [CASES-DIRECTORY]

Each project below becomes a file commands-NAME.json as crates/cli/tests/cases.rs describes them. What the
binary JUST answers to each call is recorded: exit code, standard output, and of standard error the first
line of every message below warnings that is not listed as differing. `$OUT` is a directory beside the
workspace; calls of one project share a build root and run in order. The tests do not need the binary.
"""

import json, os, re, subprocess, sys, tempfile

JUST = os.path.abspath(sys.argv[1])
CASES = sys.argv[2] if len(sys.argv) > 2 else "crates/cli/tests/cases"


def gen(out, command, **more):
    return {"type": "generic", "outs": [out], "cmds": [command], **more}


RULE = {
    "doc": ["A rule", "of two lines"], "string_fields": ["s"], "target_fields": ["deps"], "config_fields": ["c"],
    "implicit": {"impl": ["x", ["./", ".", "y"]]},
    "field_doc": {"s": ["the s"], "deps": ["the deps", "", "more"], "impl": ["implied"], "other": ["nobody's"]},
    "config_vars": ["V"], "config_doc": {"V": ["the V"], "W": ["nobody's"]}, "artifacts_doc": ["files"],
    "runfiles_doc": ["what they need"], "provides_doc": {"p": ["of p"], "a": ["of a"]}, "expression": {"type": "RESULT"}}

PROJECTS = {}

PROJECTS["describe"] = ({
    "f": "x", "TARGETS": {
        "x": gen("o", "touch o"), "r": {"type": "r"}, "plain": {"type": "plain"}, "none": {"type": "no such"},
        "bad name": {"type": ["@", "no", "", "r"]}, "untyped": {"outs": []},
        "e": {"type": "export", "target": "x", "doc": ["exported"], "flexible_config": ["A", "B"], "config_doc": {"A": ["the A"]}},
        "c": {"type": "configure", "target": ["./", ".", "x"], "doc": ["configured"], "config": {}}},
    "RULES": {"r": RULE, "plain": {"expression": {"type": "RESULT"}}}},
    [["describe", *more, name] for name in ["x", "e", "c", "r", "plain", "f", "absent", "untyped", "none", "bad name"]
     for more in [[], ["--json"]]]
    + [["describe", "--rule", "r"], ["describe", "--rule", "--json", "plain"], ["describe", "--rule", "nope"],
       ["describe", "FILE", ".", "f"], ["describe", "GLOB", ".", "*"], ["describe", "TREE", ".", "f"],
       ["describe", "SYMLINK", ".", "f"], ["describe", "r", "-D", '{"V":[1]}'], ["describe", "no/module", "x"]])

PROJECTS["rebuild"] = ({
    "TARGETS": {
        "same": gen("same", "echo same > same"), "odd": gen("odd", "cat /proc/sys/kernel/random/uuid > odd"),
        "both": gen("both", "cat same > both", deps=["same", "odd"]), "fails": gen("fails", "exit 7"),
        "tree": {"type": "install", "files": {"d/same": "same", "both": "both"}}}},
    [["rebuild", "both"], ["build", "same", "-P", "same"], ["rebuild", "same"], ["build", "both"],
     ["rebuild", "same", "--vs", "local"], ["rebuild", "tree"], ["rebuild", "fails"], ["rebuild", "same", "--vs", "nonsense"],
     ["rebuild", "--request-action-input", "-1", "both"]])

PROJECTS["traverse"] = ({
    "f": "source\n",
    "g": {"actions": {"second": {"command": ["sh", "-c", "cat in/first f k > out"], "output": ["out"],
                                 "input": {"in": {"data": {"id": "t"}, "type": "TREE"}, "f": {"data": {"path": "f", "repository": ""}, "type": "LOCAL"},
                                           "k": {"data": {"file_type": "f", "id": "ed60f07cdcd8dd8c4aaab2376abd5d1e5e3a3f1f", "size": 6}, "type": "KNOWN"}}},
                      "first": {"command": ["sh", "-c", "echo $A > first"], "env": {"A": "env"}, "output": ["first"]},
                      "bad": {"command": ["false"], "output": ["x"]}},
          "blobs": ["known\n"], "trees": {"t": {"first": {"data": {"id": "first", "path": "first"}, "type": "ACTION"}}}}},
    [])
KNOWN = subprocess.run(["git", "hash-object", "--stdin"], input="known\n", capture_output=True, text=True).stdout.strip()
PROJECTS["traverse"][0]["g"]["actions"]["second"]["input"]["k"]["data"]["id"] = KNOWN
ACTION = lambda id, path: {"data": {"id": id, "path": path}, "type": "ACTION"}
for artifacts in [{"a/b": ACTION("second", "out")}, {"a/b": ACTION("second", "out"), "d": {"data": {"id": "t"}, "type": "TREE"}}, {},
                  {"x": ACTION("bad", "x")}, {"x": ACTION("first", "nothing")}, {"x": ACTION("unknown", "x")}, {"x": 1}, 1]:
    PROJECTS["traverse"][1].append(["traverse", "-g", "g", "-a", json.dumps(artifacts), "-o", "$OUT"])
PROJECTS["traverse"][1].extend([["traverse", "-g", "absent", "-a", "{}", "-o", "$OUT"], ["traverse", "-g", "f", "-a", "{}", "-o", "$OUT"],
                                ["traverse", "-a", "{}", "-o", "$OUT"], ["traverse", "-g", "g"]])

PROJECTS["results"] = ({
    "TARGETS": {
        "fails": gen("fails", "echo said; echo warned >&2; exit 3"), "partly": gen("partly", "touch other"),
        "after": gen("after", "cat fails > after", deps=["fails"]),
        "says": gen("says", "echo said; echo warned >&2; touch says"),
        "tainted": gen("tainted", "touch tainted", tainted=["test"]),
        "two": {"type": "install", "files": {"a": "says", "b/c": "tainted"}, "tainted": ["test"]},
        "run": {"type": "run"}},
    "RULES": {"run": {"expression": {"type": "let*", "bindings": [
        ["blob", {"type": "BLOB", "data": "text"}]],
        "body": {"type": "RESULT", "artifacts": {"type": "singleton_map", "key": "main", "value": {"type": "var", "name": "blob"}},
                 "runfiles": {"type": "map_union", "$1": [
                     {"type": "singleton_map", "key": "data", "value": {"type": "var", "name": "blob"}},
                     {"type": "singleton_map", "key": "main", "value": {"type": "var", "name": "blob"}}]}}}}}},
    [["build", "fails"], ["build", "partly"], ["build", "after"], ["build", "says"], ["build", "says"], ["build", "two"],
     ["analyse", "two"], ["build", "two", "--dump-artifacts", "-"], ["build", "two", "-P", "b/c"], ["build", "run", "-p"],
     ["build", "run", "-s"], ["build", "run"], ["build", "run", "--dump-artifacts", "-", "-s"], ["install", "run", "-o", "$OUT"],
     ["install", "two", "-o", "$OUT", "-p"], ["build", "two", "-P", "nothing"]])

# What a long configuration looks like in reports.
LONG = json.dumps({"N": None, "A": {"x": ["some long text", {"deep": "more of it"}], "y": 1}, "B": "text"})
PROJECTS["limit"] = (
    {"TARGETS": {"t": {"type": "file_gen", "name": "x"}}},
    [["build", "t", "-D", LONG, *limit]
     for limit in [[], *(["--expression-log-limit", number] for number in ["0", "10", "40", "60", "79", "80"])]])

# Printing what lies at a path, and on the way to one; words in brackets.
PROJECTS["print"] = (
    {"TARGETS": {
        "g": {"type": "generic", "outs": ["o.txt", "e/f.txt"], "cmds": ["echo hi > o.txt; mkdir -p e; echo ff > e/f.txt"]},
        "named": {"type": "tree", "name": "d", "deps": ["g"]}, "unnamed": {"type": "tree", "deps": ["g"]}},
     "m/TARGETS": {"t": {"type": "file_gen", "name": "x", "data": "in m"}}},
    [["build", target, "-P", path] for target, paths in {
        "g": ["o.txt", "o.txt/x", "e", "./o.txt", "e/../o.txt", "/o.txt", "nope", "."],
        "named": ["d", "d/zz", "d/e/zz", "d/o.txt/x", "./d/o.txt", "d//o.txt", "d/e/", "../d"],
        "unnamed": ["o.txt", "e/f.txt", "zz", "."]}.items() for path in paths]
    + [["build", word, "-p"] for word in ["[m,t]", "[m, t]", "[[m,t,]]", "[,g]", "[]", "[m,t"]])

# Objects of the store by their identifiers. Here and below, all that is written to standard error is recorded.
WHOLE = {"objects", "graphs", "inputs"}
LINKS = {"objects": {"up/d/l": "../../x", "ok/l": "e", "dangling": "nowhere", "in/l": "gone"}}
X = "587be6b4c3f93f93c489c0111bba5596147a26cb"
PROJECTS["objects"] = (
    {"x": "x\n", "up/x": "", "ok/e/f": "f", "in/x": ""},
    [["add-to-cas", *words] for words in [["x"], ["ok"], ["up"], ["nope"], ["dangling"], ["dangling", "--follow-symlinks"],
     ["in", "--resolve-special=tree-all"], ["in", "--resolve-special=all"], ["up", "--resolve-special=ignore"], ["--resolve-special"]]]
    + [["install-cas", *words] for words in [[X], [X + ":2:x", "-o", "$OUT/x"], ["0" * 40], ["0" * 40, "-o", "$OUT/y"],
     ["0" * 40 + "::t"], ["0" * 40 + "::t", "-o", "$OUT/y"], ["0" * 40 + "::t", "-P", "a"], ["0" * 40 + "::t", "--raw-tree"], ["zz"],
     ["zz", "-o", "$OUT/y"], [""], [X, "--archive"]]]
    + [["gc", "--no-rotate", "--all"]])

# Files that have no graph.
PROJECTS["graphs"] = (
    {"broken": "{", "list": "[]", "g": {"actions": {}, "blobs": [], "trees": {}}},
    [["traverse", "-g", graph, "-a", "{}", "-o", "$OUT"] for graph in ["absent", "broken", "list"]]
    + [["traverse", "-g", "g", "-a", artifacts, "-o", "$OUT"] for artifacts in ["{", "x", ""]]
    + [["traverse", "-g", "g", "-a", "{}", "--git-cas", "absent", "-o", "$OUT"], ["install", "g", "-o", "g"]])

# Inputs of actions in place of a target, what rebuilt actions print, and rules that are nowhere.
PROJECTS["inputs"] = (
    {"TARGETS": {"x": gen("x", "echo said; touch x"), "y": gen("y", "cat x > y", deps=["x"])}, "d/RULES": "{ no"},
    [["analyse", "y", "--request-action-input", action] for action in ["0", "-1"]]
    + [["analyse", "y", "--request-action-input", "0", "--dump-actions", "-", "--dump-result", "-"],
       ["build", "x"], ["rebuild", "x"], ["describe", "--rule", "m", "r"], ["describe", "--rule", "d", "r"]])

# Messages of which every word is ours, or that depend on the machine.
OURS = ["While ", "Parsing ", "JSON ", "Could not", "Failed to resolve", "Cannot resolve", "Syntactically", "LocalExecution",
        "expected known type", "could not collect", "Run with --help", "[json.exception", "invalid", "Artifact ", "parsing graph", "key "]
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
VERSION = json.loads(subprocess.run([JUST, "version"], capture_output=True, text=True).stdout)
for name, (files, calls) in PROJECTS.items():
    with tempfile.TemporaryDirectory() as top:
        root, out = os.path.join(top, "w"), os.path.join(top, "out")
        for path, content in {"ROOT": "", **files}.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w") as file:
                file.write(content if isinstance(content, str) else json.dumps(content))
        for path, target in LINKS.get(name, {}).items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            os.symlink(target, full)
        answers = []
        for call in calls:
            words = [word.replace("$OUT", out) for word in call]
            ran = subprocess.run([JUST, words[0], "--plain-log", "--local-build-root", os.path.join(top, "b")] + words[1:],
                                 cwd=root, capture_output=True, text=True)
            lines = []
            for line in ran.stderr.replace(out, "$OUT").splitlines():
                level, _, text = line.partition(": ")
                if level in ("ERROR", "WARN", "INFO") and text and not any(text.startswith(start) for start in OURS):
                    lines.append(line)
            if any("uuid" in json.dumps(files) and word in line for line in lines for word in ["output 'odd'"]):
                lines = [line for line in lines if "odd" not in line]
            answer = {"words": call, "exit": ran.returncode}
            if "uuid" not in ran.stdout:
                answer["stdout"] = ran.stdout.replace(out, "$OUT")
            if name in WHOLE:
                answer["messages"] = COLOUR.sub("", ran.stderr.replace(out, "$OUT").replace(root, "$W"))
            elif lines:
                answer["stderr"] = lines
            answers.append(answer)
        dump = lambda value: json.dumps(value, ensure_ascii=False)
        with open(os.path.join(CASES, f"commands-{name}.json"), "w") as file:
            links = f'"links": {dump(LINKS[name])},\n' if name in LINKS else ""
            file.write(f'{{\n"from": {dump(VERSION["version"])},\n"files": {dump(files)},\n{links}"calls": [\n')
            file.write(",\n".join(dump(answer) for answer in answers) + "\n]\n}\n")
        print(f"{name}: {len(answers)} calls, {sum(a['exit'] != 0 for a in answers)} fail")
