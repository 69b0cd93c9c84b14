#!/usr/bin/env python3
"""Writes the cases of analysis, with the answers of the reference.

usage: analysis-cases.py JUST [CASES-DIRECTORY]

Each project below becomes a file analysis-NAME.json as crates/cli/tests/cases.rs describes them. Each
call is a list of words after `analyse`, or begins with `build`; what the binary JUST answers (exit code, the dumps on standard
output, and of what it says the phrases that are listed here) is recorded. Ids are Merkle hashes of
whole definitions, so the dumped results say that everything below them is the same, too. The tests do
not need the binary.
"""

import json, os, subprocess, sys, tempfile

JUST = os.path.abspath(sys.argv[1])
CASES = sys.argv[2] if len(sys.argv) > 2 else "crates/cli/tests/cases"
DUMPS = [word for dump in ["result", "vars", "targets", "trees", "blobs"] for word in (f"--dump-{dump}", "-")]


def var(name):
    return {"type": "var", "name": name}


def field(name):
    return {"type": "FIELD", "name": name}


def quote(value):
    return {"type": "'", "$1": value}


def single(key, value):
    return {"type": "singleton_map", "key": key, "value": value}


def over(items, body):
    return {"type": "foreach", "range": items, "var": "x", "body": body}


def gen(out, command, **more):
    return {"type": "generic", "outs": [out], "cmds": [command], **more}


def file(name, data="", **more):
    return {"type": "file_gen", "name": name, "data": data, **more}


PROJECTS = {}

PROJECTS["files"] = ({
    "a.c": "a\n", "b.c": "b\n", "run.sh": ["#!/bin/sh"], "sub/TARGETS": {"own": file("own")}, "sub/deep/x.txt": "x",
    "TARGETS": {
        "all c": {"type": "install", "deps": [["GLOB", None, "*.c"]]},
        "tree": {"type": "install", "files": {"t": ["TREE", None, "sub"]}},
        "implicit": {"type": "install", "deps": ["a.c", "sub/deep/x.txt", "./b.c"]},
        "explicit": {"type": "install", "deps": [["FILE", ".", "a.c"], ["SYMLINK", None, "run.sh"]]},
        "none": {"type": "install", "deps": [["GLOB", None, "*.nothing"]]},
        "bracket": {"type": "install", "deps": [["GLOB", None, "[!a].?"]]},
        "other": {"type": "install", "deps": [["sub", "own"], ["./", "sub", "own"], ["./sub/../sub", "own"]]},
        "hidden": file("a.c"), "a.c.target": {"type": "install", "deps": [["FILE", None, "a.c"], "a.c"]},
        "outside": {"type": "install", "deps": ["../x"]},
        "absolute": {"type": "install", "deps": ["/etc/passwd"]},
        "missing": {"type": "install", "deps": ["nope.c"]},
        "two missing": {"type": "install", "deps": ["nope.c", "neither.c"]},
        "no module": {"type": "install", "deps": [["no/such", "x"]]},
        "up": {"type": "install", "deps": [["./", "../..", "x"]]},
        "repo": {"type": "install", "deps": [["@", "other", "", "x"]]},
        "shape": {"type": "install", "deps": [["FILE", "elsewhere", "x"]]},
        "anonymous": {"type": "install", "deps": [["#", "a", "b"]]},
        "number": {"type": "install", "deps": [1]},
    }},
    [["all c"], ["tree"], ["implicit"], ["explicit"], ["none"], ["bracket"], ["other"], ["a.c.target"],
     ["GLOB", "", "*.c"], ["TREE", ".", "sub"], ["FILE", "", "a.c"], ["sub", "own"], ["TREE", ".", "absent"],
     ["outside", "!Source file reference outside current module"], ["absolute", "!Source file reference outside"],
     ["missing", "!Cannot determine source file \"nope.c\""], ["two missing", "!\"nope.c\"", "!\"neither.c\""],
     ["no module", "!JSON file no/such/TARGETS does not exist."], ["up", "!is outside of workspace"],
     ["repo", "!Cannot resolve repository name"], ["shape", "!Invalid module name"],
     ["anonymous", "!Parsing anonymous target is not supported"],
     ["number", "!Syntactically invalid entity name"]])

PROJECTS["generic"] = ({
    "in.txt": "in\n",
    "TARGETS": {
        "plain": gen("o", "echo > o"),
        "two outs": {"type": "generic", "outs": ["b/./o", "a", "a"], "out_dirs": ["d/"], "cmds": ["x", "y"]},
        "env": gen("o", "x", env=quote({"A": "1", "B": "ü"})),
        "cwd": gen("o", "x", cwd="some/dir"),
        "cwd with input": gen("o", "x", cwd="d", deps=["inside"]),
        "inside": file("d/f", "1"),
        "sh": gen("o", "x", **{"sh -c": ["bash", "-euc"]}),
        "sh null": gen("o", "x", **{"sh -c": None}),
        "scale": gen("o", "x", **{"timeout scaling": 2.5}),
        "props": gen("o", "x", **{"execution properties": quote({"os": "linux"})}),
        "deps": gen("o", "cat *", deps=["plain", "in.txt", "inside"]),
        "names": {"type": "generic", "deps": ["plain", "inside"],
                  "outs": [{"type": "join", "$1": [{"type": "outs", "dep": "plain"}][0], "separator": "-"}],
                  "cmds": {"type": "runfiles", "dep": "inside"}},
        "later wins": gen("z", "x", deps=["f1", "f2"]), "f1": file("same", "1"), "f2": file("same", "2"),
        "vars": gen("o", var("A"), arguments_config=["A"], cmds=[var("A")]),
        "undeclared": gen("o", "x", cmds=[{"type": "var", "name": "A", "default": "none"}]),
        "no outs": {"type": "generic", "cmds": ["x"]},
        "both": {"type": "generic", "outs": ["a"], "out_dirs": ["a/"]},
        "nested": {"type": "generic", "outs": ["d/a"], "out_dirs": ["d"]},
        "upward": gen("../o", "x"), "absolute": gen("/o", "x"),
        "env literal": gen("o", "x", env={"A": "1"}),
        "env number": gen("o", "x", env=quote({"A": 1})),
        "cmds string": {"type": "generic", "outs": ["o"], "cmds": "x"},
        "cwd up": gen("o", "x", cwd="../x"),
        "conflict": gen("o", "x", deps=["f3", "f4"]), "f3": file("x", "1"), "f4": file("x/y", "1"),
        "strange": gen("o", "x", unknown=1, cmd=["x"]),
        "tainted": gen("o", "x", tainted=["test"]), "not tainted": gen("o", "x", deps=["tainted"]),
        "tainted too": gen("p", "x", deps=["tainted"], tainted=["test", "more"]),
        "taint string": gen("o", "x", tainted="test"),
        "undeclared dep": gen("o", "x", cmds={"type": "outs", "dep": "plain"}),
    }},
    [["plain"], ["two outs"], ["env"], ["cwd"], ["cwd with input"], ["sh"], ["sh null"], ["scale"], ["props"], ["deps"],
     ["names"], ["later wins"], ["vars", "-D", '{"A":"a"}'], ["undeclared", "-D", '{"A":"a"}'], ["strange"], ["tainted too"],
     ["no outs"], ["both"], ["nested", "!staging conflict"], ["upward"], ["absolute"], ["env literal"], ["env number"],
     ["cmds string"], ["cwd up"], ["conflict", "!staging conflict on \"x\""],
     ["not tainted", "!Not tainted with all strings the dependencies are tainted with"], ["taint string"],
     ["undeclared dep", "!Reference to undeclared dependency"]])

PROJECTS["stages"] = ({
    "TARGETS": {
        "a": file("a", "1"), "a2": file("a", "2"), "link": {"type": "symlink", "name": "l", "data": "a"},
        "empty": {"type": "install"}, "odd": file("../odd"), "default": {"type": "file_gen"},
        "files": {"type": "install", "files": {"./p//q": "a", "r": "a2"}},
        "dirs": {"type": "install", "dirs": [["a", "d"], ["a2", "e/./f/"], ["both", "."]]},
        "both": {"type": "install", "deps": ["a"], "files": {"more/a": "a2"}},
        "same": {"type": "install", "deps": ["a", "a", "link"]},
        "tree": {"type": "tree", "deps": ["a", "link"], "name": "t"}, "no tree": {"type": "tree"},
        "overlay": {"type": "tree_overlay", "deps": ["a", "a2"], "name": "o"},
        "disjoint": {"type": "disjoint_tree_overlay", "deps": ["a", "dirs"]},
        "of names": file(var("N"), {"type": "join", "$1": {"type": "outs", "dep": "dirs"}, "separator": ","},
                         deps=["dirs"], arguments_config=["N"]),
        "deps conflict": {"type": "install", "deps": ["a", "a2"]},
        "files conflict": {"type": "install", "deps": ["a"], "files": {"a": "a2"}},
        "dirs conflict": {"type": "install", "dirs": [["a", "d"], ["a2", "d"]]},
        "below": {"type": "install", "files": {"x": "a", "x/y": "a"}},
        "many": {"type": "install", "files": {"x": "dirs"}}, "zero": {"type": "install", "files": {"x": "empty"}},
        "upward": {"type": "install", "dirs": [["a", "../x"]]}, "absolute": {"type": "install", "dirs": [["a", "/x"]]},
        "bad dirs": {"type": "install", "dirs": ["a"]}, "bad files": {"type": "install", "files": ["a"]},
        "tree conflict": {"type": "tree", "deps": ["a", "a2"]}, "link up": {"type": "symlink", "data": "../x"},
        "name number": file(1), "data list": file("x", ["x"]), "no type": {"deps": []}, "list": [],
    }},
    [[name] for name in ["a", "link", "empty", "odd", "default", "files", "dirs", "both", "same", "tree", "no tree", "overlay",
                         "disjoint"]] +
    [["of names", "-D", '{"N":"n"}'], ["deps conflict", "!Staging conflict on path \"a\""],
     ["files conflict", "!Staging conflict"], ["dirs conflict", "!Staging conflict on path \"d/a\""], ["below"],
     ["many", "!Not precisely one entry for"], ["zero", "!No artifacts or runfiles for"], ["upward"], ["absolute"],
     ["bad dirs"], ["bad files"], ["tree conflict", "!Staging conflict on path \"a\""], ["link up"], ["name number"],
     ["data list"], ["no type", "!No type specified in the definition of target"], ["list", "!No type specified"]])

PROJECTS["configurations"] = ({
    "TARGETS": {
        "show": file("s", {"type": "json_encode", "$1": [var("A"), var("B")]}, arguments_config=["A", "B"]),
        "fix": {"type": "configure", "target": "show", "config": single("A", "fixed")},
        "fix null": {"type": "configure", "target": "show", "config": single("A", None)},
        "by var": {"type": "configure", "target": var("T"), "arguments_config": ["T"]},
        "both": {"type": "install", "dirs": [["fix", "f"], ["show", "s"]]},
        "export": {"type": "export", "target": "show", "flexible_config": ["A"], "fixed_config": {"B": [1, {"x": None}]}},
        "export twice": {"type": "install", "dirs": [["export", "1"], ["fixed export", "2"]]},
        "fixed export": {"type": "configure", "target": "export", "config": single("Z", 1)},
        "export both": {"type": "export", "target": "show", "flexible_config": ["A"], "fixed_config": {"A": 1}},
        "tainted": file("t", tainted=["x"]), "export tainted": {"type": "export", "target": "tainted"},
        "export expr": {"type": "export", "target": var("T")}, "export nothing": {"type": "export"},
        "config list": {"type": "configure", "target": "show", "config": []},
        "config word": {"type": "configure", "target": "show", "config": quote(["x"])},
        "configure tainted": {"type": "configure", "target": "tainted"},
        "vars word": file("x", arguments_config="A"), "vars number": file("x", arguments_config=[1]),
    }},
    [["show"], ["show", "-D", '{"A":1,"B":{"y":[true,null]},"C":0}'], ["fix", "-D", '{"A":1,"B":1e15}'], ["fix null", "-D", '{"A":1}'],
     ["by var", "-D", '{"T":"show"}'], ["both", "-D", '{"A":"x"}'], ["export", "-D", '{"A":"x","Q":1}'], ["export twice", "-D", '{"A":2}'],
     ["export both", "!is both fixed and flexible"], ["export tainted", "!Only untainted targets can be exported."],
     ["export expr", "!Syntactically invalid entity name"], ["export nothing"], ["config list"], ["config word"],
     ["configure tainted", "!Not tainted"], ["vars word"], ["vars number"], ["by var"]])

RULES = {
    "lib": {
        "string_fields": ["name"], "target_fields": ["srcs", "deps"], "config_fields": ["arch"],
        "implicit": {"tool": ["tool"]}, "config_vars": ["OPT"], "imports": {"stage": "stage"},
        "config_transitions": {"deps": {"type": "if", "cond": {"type": "FIELD", "name": "arch"},
                                        "then": over({"type": "FIELD", "name": "arch"}, single("ARCH", var("x"))),
                                        "else": [quote({})]}},
        "expression": {"type": "let*", "bindings": [
            ["in", {"type": "CALL_EXPRESSION", "name": "stage"}],
            ["out", {"type": "ACTION", "inputs": var("in"), "outs": ["./out", "d/o"], "cmd": ["cc", {"type": "join", "$1": field("name")}],
                     "env": single("OPT", {"type": "var", "name": "OPT", "default": "0"})}]],
            "body": {"type": "RESULT", "artifacts": var("out"), "runfiles": single("tree", {"type": "TREE", "$1": var("in")}),
                     "provides": single("names", field("name"))}},
    },
    "node": {"string_fields": ["s"], "target_fields": ["deps"], "expression": {
        "type": "RESULT", "provides": single("nodes", [{"type": "ABSTRACT_NODE", "node_type": "n",
            "string_fields": single("name", field("s")),
            "target_fields": single("deps", {"type": "++", "$1": over(field("deps"), {"type": "DEP_PROVIDES", "dep": var("x"), "provider": "nodes"})})}])}},
    "of nodes": {"target_fields": ["deps"], "anonymous": {"made": {"target": "deps", "provider": "nodes", "rule_map": {"n": "made"}}},
        "config_transitions": {"made": [single("ARCH", "x"), quote({})]},
        "expression": {"type": "RESULT", "artifacts": {"type": "map_union", "$1": over(field("made"),
            {"type": "to_subdir", "subdir": "x", "$1": {"type": "DEP_ARTIFACTS", "dep": var("x"), "transition": single("ARCH", "x")}})}}},
    "values": {"expression": {"type": "RESULT", "provides": single("nodes", [
        {"type": "VALUE_NODE", "$1": {"type": "RESULT", "artifacts": single("a", {"type": "BLOB", "data": "{\"[\\"})}},
        {"type": "ABSTRACT_NODE", "node_type": "n"}])}},
    "unmapped": {"target_fields": ["deps"], "anonymous": {"made": {"target": "deps", "provider": "nodes", "rule_map": {}}},
                 "expression": {"type": "RESULT"}},
    "made": {"string_fields": ["name"], "target_fields": ["deps"], "config_vars": ["ARCH"], "expression": {"type": "RESULT",
        "artifacts": {"type": "map_union", "$1": {"type": "++", "$1": [
            over(field("deps"), {"type": "DEP_ARTIFACTS", "dep": var("x")}),
            over(field("name"), single(var("x"), {"type": "BLOB", "data": {"type": "var", "name": "ARCH", "default": "any"}}))]}}}},
    "test": {"tainted": ["test"], "expression": {"type": "RESULT", "artifacts": {"type": "ACTION", "outs": ["o"], "cmd": ["true"],
             "may_fail": ["test"], "no_cache": ["test"], "fail_message": "failed", "timeout scaling": 0.5}}},
    "untainted": {"expression": {"type": "ACTION", "outs": ["o"], "cmd": ["true"], "may_fail": ["test"]}},
    "no result": {"expression": []}, "fails": {"expression": {"type": "fail", "msg": "told you"}},
    "twice": {"string_fields": ["x"], "target_fields": ["x"], "expression": {}},
    "reserved": {"string_fields": ["type"], "expression": {}}, "no expression": {"string_fields": []},
    "bad implicit": {"implicit": {"x": "y"}, "expression": {}}, "bad import": {"imports": {"x": "nope"}, "expression": {}},
    "cyclic": {"imports": {"x": "loop"}, "expression": {}},
    "undeclared": {"string_fields": ["s"], "expression": {"type": "RESULT", "artifacts": {"type": "DEP_ARTIFACTS", "dep": "x"}}},
    "unknown field": {"string_fields": ["s"], "expression": {"type": "FIELD", "name": "t"}},
    "install": {"expression": {"type": "RESULT", "artifacts": single("mine", {"type": "SYMLINK", "data": "x"})}},
    "none": {"target_fields": ["deps"], "config_transitions": {"deps": []}, "expression": {"type": "RESULT",
             "provides": single("n", {"type": "length", "$1": field("deps")})}},
    "bad transition": {"target_fields": ["deps"], "config_transitions": {"deps": quote({})}, "expression": {"type": "RESULT"}},
}
PROJECTS["rules"] = ({
    "RULES": RULES,
    "EXPRESSIONS": {
        "stage": {"vars": ["in"], "imports": {"helper": "helper"}, "expression": {"type": "CALL_EXPRESSION", "name": "helper"}},
        "helper": {"expression": {"type": "map_union", "$1": {"type": "++", "$1": [
            over(field("srcs"), {"type": "DEP_ARTIFACTS", "dep": var("x")}),
            over(field("tool"), {"type": "DEP_RUNFILES", "dep": var("x")})]}}},
        "loop": {"imports": {"x": "loop2"}, "expression": []}, "loop2": {"imports": {"x": "loop"}, "expression": []},
    },
    "tool": "tool", "x.c": "x",
    "TARGETS": {
        "base": {"type": "lib", "name": ["base"], "srcs": ["x.c"]},
        "top": {"type": "lib", "name": ["t", var("V")], "srcs": [["GLOB", None, "*.c"]], "deps": ["base"], "arguments_config": ["V"]},
        "by arch": {"type": "lib", "deps": ["base", "arch"], "arch": ["a", "b"]},
        "arch": file("arch", var("ARCH"), arguments_config=["ARCH"]),
        "leaf": {"type": "node", "s": ["leaf"]}, "inner": {"type": "node", "s": ["inner"], "deps": ["leaf", "leaf"]},
        "made": {"type": "of nodes", "deps": ["inner", "leaf"]}, "unmapped": {"type": "unmapped", "deps": ["leaf"]},
        "no provider": {"type": "of nodes", "deps": ["base"]},
        "values": {"type": "values"}, "made of values": {"type": "of nodes", "deps": ["values", "inner"]},
        "test": {"type": "test"}, "untainted": {"type": "untainted"}, "no result": {"type": "no result"},
        "fails": {"type": "fails"}, "twice": {"type": "twice"}, "reserved": {"type": "reserved"},
        "no expression": {"type": "no expression"}, "bad implicit": {"type": "bad implicit"},
        "bad import": {"type": "bad import"}, "cyclic": {"type": "cyclic"}, "undeclared": {"type": "undeclared"},
        "unknown field": {"type": "unknown field"}, "no rule": {"type": "no such rule"}, "bad rule": {"type": ["FILE", None, "x"]},
        "mine": {"type": ["./", ".", "install"]}, "theirs": {"type": "install"},
        "none": {"type": "none", "deps": ["not", "there"]}, "bad transition": {"type": "bad transition"},
        "strings": {"type": "lib", "name": [1]}, "names": {"type": "lib", "name": "x"}, "null": {"type": "lib", "name": [None]},
        "a": {"type": "lib", "deps": ["b"]}, "b": {"type": "lib", "deps": ["a"]},
        "exported": {"type": "export", "target": "inner"},
        "unexpected": {"type": "lib", "nome": ["x"]},
    }},
    [["base"], ["base", "-D", '{"OPT":"2","V":1}'], ["top", "-D", '{"V":"v"}'], ["by arch"], ["leaf"], ["inner"], ["made"],
     *[[name, "--dump-anonymous", "-", "--dump-nodes", "-"] for name in ["inner", "made", "values", "made of values"]], ["test"],
     ["mine"], ["theirs"], ["none"], ["exported"], ["unexpected", "!has unexpected parameters [\"nome\"]"],
     ["unmapped", "!Cannot resolve type of node"], ["no provider", "!Provider nodes in deps does not exist"],
     ["untainted"], ["no result", "!Defining expression should evaluate to a RESULT"], ["fails", "!told you"],
     ["twice", "!A field can have only one type"], ["reserved"], ["no expression"], ["bad implicit", "!is not a list."],
     ["bad import", "!Cannot find expression"], ["cyclic", "!Cycle detected in expression imports:"], ["undeclared"],
     ["unknown field", "!FIELD 't' unknown"], ["no rule", "!Cannot find rule"], ["bad rule"], ["bad transition"], ["strings"],
     ["names"], ["null"], ["top"], ["a", "!Cycle detected in target dependencies:"]])

PROJECTS["origins"] = ({
    "RULES": {
        "same": {"config_vars": ["V"], "expression": {"type": "RESULT", "artifacts":
            {"type": "ACTION", "outs": ["o"], "cmd": ["touch", "o"]}}},
        "node": {"string_fields": ["s"], "expression": {"type": "RESULT", "provides": single("nodes", [
            {"type": "ABSTRACT_NODE", "node_type": "t", "string_fields": single("s", field("s"))}])}},
        "of node": {"string_fields": ["s"], "expression": {"type": "RESULT", "artifacts":
            {"type": "ACTION", "outs": ["o"], "cmd": ["touch", "o"]}}},
        "each": {"target_fields": ["deps", "nodes"], "config_transitions": {"deps":
                {"type": "foreach", "range": quote([None, 1, "x", {}, {"k": "v"}, [1]]), "body": single("V", var("_"))}},
            "anonymous": {"made": {"target": "nodes", "provider": "nodes", "rule_map": {"t": "of node"}}},
            "expression": {"type": "RESULT", "artifacts": {"type": "DEP_ARTIFACTS", "dep":
                {"type": "[]", "list": field("deps"), "index": 0}, "transition": single("V", 1)}}},
    },
    "TARGETS": {
        **{name: {"type": "same"} for name in ["foo", "foo bar", "foo!", "fo", "föö", "foo\"", "Foo"]},
        "n1": {"type": "node", "s": ["1"]}, "n2": {"type": "node", "s": ["2"]}, "n3": {"type": "node", "s": ["3"]},
        "all": {"type": "each", "deps": ["foo", "foo bar", "foo!", "fo", "föö", "foo\"", "Foo", ["m", "foo"], ["m n", "foo"]],
                "nodes": ["n1", "n2", "n3"]},
    },
    "m/TARGETS": {"foo": {"type": ["", "same"]}}, "m n/TARGETS": {"foo": {"type": ["", "same"]}}},
    [["all", "--dump-graph", "graph"], ["build", "FILE", "", "graph", "-P", "graph"]])

VERSION = json.loads(subprocess.run([JUST, "version"], capture_output=True, text=True).stdout)
NODE = {"type": "ABSTRACT_NODE", "node_type": "n", "string_fields": single("s", ["x", "y"])}
ANONYMOUS = {"target": "deps", "provider": "nodes", "rule_map": {"n": "node"}}


def providing(**provides):
    return {"type": "RESULT", "provides": {"type": "map_union", "$1": [single(key, value) for key, value in provides.items()]}}


def result(**more):
    return {"expression": {"type": "RESULT"}, **more}


def action(**more):
    return {"tainted": ["test"], "expression": providing(made={"type": "ACTION", "outs": ["o"], "cmd": ["x"], **more})}


def blob(text):
    return {"type": "BLOB", "data": text}


def staged(what, *entries):
    stage = {"type": "map_union", "$1": [single(path, blob(text)) for path, text in entries]}
    return {"expression": providing(tree={"type": what, "$1": stage if what == "TREE" else [stage]})}


PROJECTS["odd"] = ({
    "a.c": "a", "sub/TARGETS": {"t": file("t")}, "sub/f": "f", "sub/deep/g": "g",
    "RULES": {
        "same twice": result(string_fields=["a", "a"]), "two kinds": result(string_fields=["a"], target_fields=["a"]),
        "lost": {"anonymous": {"an": {**ANONYMOUS, "target": "nope"}}, "expression": providing(an=field("an"))},
        "of anonymous": {"target_fields": ["deps"], "anonymous": {"an": ANONYMOUS, "b": {**ANONYMOUS, "target": "an"}},
                         "expression": providing(b=field("b"))},
        "no rule": result(target_fields=["deps"], anonymous={"an": {**ANONYMOUS, "rule_map": {"n": ["FILE", None, "x"]}}}),
        "node": {"string_fields": ["s"], "expression": {"type": "RESULT"}},
        "nodes": {"expression": providing(nodes=[NODE])},
        "transition of nothing": result(target_fields=["t"], config_transitions={"u": [quote({})]}),
        "transition of strings": result(string_fields=["s"], config_transitions={"s": [quote({})]}),
        "in transitions": {"string_fields": ["s"], "target_fields": ["t"], "expression": providing(s=field("s")),
                           "config_transitions": {"t": [quote({"X": 1}), quote({"X": None})]}},
        "no list": result(string_fields="x"), "no time": action(**{"timeout scaling": 0}),
        "less than no time": action(**{"timeout scaling": {"type": "*", "$1": [0, -1]}}),
        "tiny time": action(**{"timeout scaling": 5e-324}),
        "tree of both": staged("TREE", ("./x", "1"), ("x", "2")), "tree above": staged("TREE", ("x", "1"), ("x/y", "2")),
        "overlay of both": staged("TREE_OVERLAY", ("./x", "1"), ("x", "2")),
    },
    "TARGETS": {
        **{name: {"type": name} for name in [
            "same twice", "two kinds", "lost", "of anonymous", "no rule", "nodes", "transition of nothing",
            "transition of strings", "no list", "no time", "less than no time", "tiny time", "tree of both", "tree above",
            "overlay of both"]},
        "show": {"type": "file_gen", "arguments_config": ["X"], "name": {"type": "join", "$1": ["s", {"type": "json_encode", "$1": var("X")}]}},
        "uses no rule": {"type": "no rule", "deps": ["nodes"]}, "uses anonymous": {"type": "of anonymous", "deps": ["nodes"]},
        "outs": {"type": "in transitions", "t": ["show"], "s": {"type": "outs", "dep": "show", "transition": quote({"X": 1})}},
        "runfiles": {"type": "in transitions", "t": ["show"],
                     "s": {"type": "runfiles", "dep": "show", "transition": quote({"X": None})}},
        "outs, none": {"type": "in transitions", "t": ["show"], "s": {"type": "outs", "dep": "show"}},
        "outs, other": {"type": "in transitions", "t": ["show"],
                        "s": {"type": "outs", "dep": "show", "transition": quote({"X": 1, "Y": 1})}},
        "generic outs": {"type": "generic", "outs": ["o"], "deps": ["show"],
                         "cmds": {"type": "outs", "dep": "show", "transition": quote({"X": 1})}},
        "step out": {"type": "install", "deps": [["./", "..", "show"], ["./", "sub/../..", "a.c"]]},
        "steps out": {"type": "install", "deps": [["./", "../..", "show"]]},
        "like a directory": {"type": "install", "deps": ["a.c/"]}, "like another": {"type": "install", "deps": ["sub/f/."]},
        "twice": {"type": "install", "deps": ["./a.c", "sub//f", "sub/deep/../f"]},
        "empty": file("", "1"), "dot": file(".", "2"), "tilted": file("./x", "1"), "plain": file("x", "2"),
        "above": file("x", "1"), "below": file("x/y", "2"), "both": {"type": "install", "files": {"./x": "tilted", "x": "plain"}},
        "tree, tilted": {"type": "tree", "deps": ["tilted", "plain"]}, "tree, empty": {"type": "tree", "deps": ["empty", "a.c"]},
        "tree, dot": {"type": "tree", "deps": ["dot", "a.c"]}, "tree, below": {"type": "tree", "deps": ["above", "below"]},
        "overlay, tilted": {"type": "tree_overlay", "deps": ["both"]},
        "overlay, outside": {"type": "tree_overlay", "deps": ["outside"]}, "outside": file("../x"),
    }},
    [["same twice"], ["two kinds", "!can have only one type"], ["lost"], ["of anonymous"], ["no rule"], ["uses no rule"],
     ["uses anonymous"], ["transition of nothing"], ["transition of strings"], ["no list"], ["no time"],
     ["less than no time"], ["tiny time"], ["tree of both"], ["tree above"], ["overlay of both"], ["outs"], ["runfiles"],
     ["outs, none", "!undeclared dependency"], ["outs, other", "!undeclared dependency"],
     ["generic outs", "!undeclared dependency"], ["step out"], ["steps out", "!is outside of workspace"],
     ["like a directory", "!Cannot determine source file"], ["like another", "!Cannot determine source file"], ["twice"],
     ["tree, tilted"], ["tree, empty"], ["tree, dot"], ["tree, below"], ["both"], ["overlay, tilted"], ["overlay, outside"]])

for name, (files, calls) in PROJECTS.items():
    with tempfile.TemporaryDirectory() as top:
        root = os.path.join(top, "w")
        for path, content in {"ROOT": "", **files}.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            listed = isinstance(content, list)
            text = "\n".join(content) if listed else content if isinstance(content, str) else json.dumps(content)
            with open(full, "w") as out:
                out.write(text)
            if listed:
                os.chmod(full, 0o755)
        answers = []
        for call in calls:
            phrases = [word[1:] for word in call if word.startswith("!")]
            # 1.6.5 says that a source tree provides null, which is a mistake.
            dumps = DUMPS[2:] if call[0] == "TREE" else DUMPS
            words = ["analyse"] + [word for word in call if not word.startswith("!")] + dumps
            # A graph can only be dumped into a file; that is a source file, and can be built.
            words = call if call[0] == "build" else words
            ran = subprocess.run([JUST, words[0], "--plain-log", "--local-build-root", os.path.join(top, "b")] + words[1:],
                                 cwd=root, capture_output=True, text=True)
            for phrase in phrases:
                if phrase not in ran.stderr:
                    print(f"{name}: {call[0]}: the reference does not say {phrase!r}:\n{ran.stderr}", file=sys.stderr)
            answer = {"words": words, "exit": ran.returncode, "stdout": ran.stdout}
            answers.append({**answer, "says": phrases} if phrases else answer)
        dump = lambda value: json.dumps(value, ensure_ascii=False)
        with open(os.path.join(CASES, f"analysis-{name}.json"), "w") as out:
            out.write(f'{{\n"from": {dump(VERSION["version"])},\n"files": {dump(files)},\n"calls": [\n')
            out.write(",\n".join(dump(answer) for answer in answers) + "\n]\n}\n")
        print(f"{name}: {len(answers)} calls, {sum(a['exit'] != 0 for a in answers)} fail")
