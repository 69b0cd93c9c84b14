# Descriptions that are wrong.
touch ROOT
try() {
  printf '%s\n' "$1" > repos.json
  echo "# $1"
  mr setup
}
bare --plain-log setup
try '['
try '[]'
try '{}'
try '{"repositories": []}'
try '{"main": 1, "repositories": {}}'
try '{"main": "x", "repositories": {}}'
try '{"repositories": {"a": {}}}'
try '{"repositories": {"a": {"repository": 1}}}'
try '{"repositories": {"a": {"repository": {}}}}'
try '{"repositories": {"a": {"repository": {"type": 1}}}}'
try '{"repositories": {"a": {"repository": {"type": "x"}}}}'
try '{"repositories": {"a": {"repository": {"type": "file"}}}}'
try '{"repositories": {"a": {"repository": {"type": "file", "path": 1}}}}'
try '{"repositories": {"a": {"repository": {"type": "git"}}}}'
try '{"repositories": {"a": {"repository": {"type": "git", "commit": "0123456789012345678901234567890123456789", "repository": "/x"}}}}'
try '{"repositories": {"a": {"repository": {"type": "git", "commit": "0123456789012345678901234567890123456789", "repository": "/x", "branch": "m", "subdir": "../x"}}}}'
try '{"repositories": {"a": {"repository": {"type": "git", "commit": "0123456789012345678901234567890123456789", "repository": "/x", "branch": "m", "mirrors": "x"}}}}'
try '{"repositories": {"a": {"repository": {"type": "git", "commit": "0123456789012345678901234567890123456789", "repository": "/x", "branch": "m", "mirrors": [1]}}}}'
try '{"repositories": {"a": {"repository": {"type": "git", "commit": "0123456789012345678901234567890123456789", "repository": "/x", "branch": "m", "inherit env": 1}}}}'
try '{"repositories": {"a": {"repository": {"type": "git", "commit": "0123456789012345678901234567890123456789", "repository": "/x", "branch": "m", "inherit env": [1]}}}}'
try '{"repositories": {"a": {"repository": {"type": "git tree"}}}}'
try '{"repositories": {"a": {"repository": {"type": "git tree", "id": "012"}}}}'
try '{"repositories": {"a": {"repository": {"type": "git tree", "id": "0123456789012345678901234567890123456789"}}}}'
try '{"repositories": {"a": {"repository": {"type": "git tree", "id": "0123456789012345678901234567890123456789", "cmd": "x"}}}}'
try '{"repositories": {"a": {"repository": {"type": "git tree", "id": "0123456789012345678901234567890123456789", "cmd": [1]}}}}'
try '{"repositories": {"a": {"repository": {"type": "git tree", "id": "0123456789012345678901234567890123456789", "cmd": ["x"], "env": {"A": 1}}}}}'
try '{"repositories": {"a": {"repository": {"type": "archive"}}}}'
try '{"repositories": {"a": {"repository": {"type": "archive", "content": 1}}}}'
try '{"repositories": {"a": {"repository": {"type": "archive", "content": "xyz"}}}}'
try '{"repositories": {"a": {"repository": {"type": "archive", "content": "x123456789012345678901234567890123456789"}}}}'
try '{"repositories": {"a": {"repository": {"type": "archive", "content": "0123456789012345678901234567890123456789"}}}}'
try '{"repositories": {"a": {"repository": {"type": "zip", "content": "0123456789012345678901234567890123456789", "fetch": "x", "subdir": "/y"}}}}'
try '{"repositories": {"a": {"repository": {"type": "foreign file", "content": "0123456789012345678901234567890123456789", "fetch": "x"}}}}'
try '{"repositories": {"a": {"repository": {"type": "foreign file", "content": "0123456789012345678901234567890123456789", "fetch": "x", "name": 1}}}}'
try '{"repositories": {"a": {"repository": {"type": "foreign file", "content": "0123456789012345678901234567890123456789", "fetch": "x", "name": "a/b"}}}}'
try '{"repositories": {"a": {"repository": {"type": "foreign file", "content": "0123456789012345678901234567890123456789", "fetch": "x", "name": "a", "executable": 1}}}}'
try '{"repositories": {"a": {"repository": {"type": "distdir"}}}}'
try '{"repositories": {"a": {"repository": {"type": "distdir", "repositories": 1}}}}'
try '{"repositories": {"a": {"repository": {"type": "distdir", "repositories": [1]}}}}'
try '{"repositories": {"a": {"repository": {"type": "distdir", "repositories": ["x"]}}}}'
try '{"repositories": {"a": {"repository": {"type": "computed"}}}}'
try '{"repositories": {"a": {"repository": {"type": "computed", "repo": 1}}}}'
try '{"repositories": {"a": {"repository": {"type": "computed", "repo": "a"}}}}'
try '{"repositories": {"a": {"repository": {"type": "computed", "repo": "a", "target": 1}}}}'
try '{"repositories": {"a": {"repository": {"type": "computed", "repo": "a", "target": [1, "x"]}}}}'
try '{"repositories": {"a": {"repository": {"type": "computed", "repo": "a", "target": ["", "x"], "config": 1}}}}'
try '{"repositories": {"a": {"repository": {"type": "tree structure"}}}}'
try '{"repositories": {"a": {"repository": {"type": "tree structure", "repo": "b", "pragma": 1}}}}'
try '{"repositories": {"a": {"repository": {"type": "tree structure", "repo": "b", "pragma": {"absent": 1}}}}}'
try '{"repositories": {"a": {"repository": {"type": "file", "path": ""}, "target_root": 1}}}'
try '{"repositories": {"a": {"repository": {"type": "file", "path": ""}, "bindings": {"x": "nowhere"}}}}'
try '{"repositories": {"a": {"repository": {"type": "file", "path": ""}, "unknown": 1, "my bootstrap": 2, "doc": 3, "extra": 4}}}'
mr build
# Names of other repositories that lead nowhere: the reference says why in a message of its own.
for x in 1 null '[]' '{}' '{"repository": null}' '{"repository": 1}' '{"repository": "y"}'; do
  try '{"repositories": {"": {"repository": "x"}, "x": '"$x"'}}'
done
try '{"repositories": {"": {"repository": "nowhere"}}}'
mr setup --all
mr fetch -o .
mr update ''
# The main repository need not be described if its root is left out.
echo '{"repositories": {"a": {"repository": "nowhere"}}}' > repos.json
mr --main nowhere setup-env
config
mr setup-env nowhere
mr setup nowhere
mr setup-env a
# A directory of a git repository without a commit.
git init -q -b main "$D/unborn"
try '{"repositories": {"": {"repository": {"type": "file", "path": "../unborn", "pragma": {"to_git": true}}}}}'

# Roots that need themselves. The names are sorted here, since the reference has them in the order of a hash table.
sorted() { awk '/^         /{print | "LC_ALL=C sort"; next} {close("LC_ALL=C sort"); print}'; }
file='{"repository": {"type": "file", "path": "."}'
computed() { echo '{"repository": {"type": "computed", "repo": "'"$1"'", "target": ["", ""]}'"$2}"; }
structure() { echo '{"repository": {"type": "tree structure", "repo": "'"$1"'"}}'; }
try '{"repositories": {"a": '"$(computed a)"'}}'
mr setup-env
mr fetch -o .
mr update a
mr build x
mr do build x
try '{"repositories": {"a": '"$(structure a)"'}}'
try '{"repositories": {"a": {"repository": {"type": "computed", "repo": "a", "target": ["", ""], "pragma": {"absent": true}}}}}'
try '{"repositories": {"a": '"$(computed b)"', "b": '"$(computed a)"'}}' | sorted
mr setup-env
mr setup-env b
try '{"repositories": {"a": '"$(computed b)"', "b": '"$(structure c)"', "c": '"$(computed a)"'}}' | sorted
mr setup c | sorted
mr setup --all | sorted
mr setup-env c
# What the main repository needs, whose own root is not on the cycle, or leads to it.
try '{"repositories": {"a": '"$file"', "bindings": {"b": "b", "f": "f"}}, "f": '"$file"'}, "b": '"$(computed b)"'}}'
mr setup-env
mr setup-env b
mr setup f
mr setup --all f
try '{"repositories": {"a": '"$file"', "target_root": "b"}, "b": '"$(computed b)"'}}'
try '{"repositories": {"a": '"$(structure b)"', "b": '"$(computed c)"', "c": '"$(structure b)"', "d": '"$(computed d)"'}}' | sorted
mr setup-env | sorted
mr setup --all | sorted
# Another name of the same root, which is left out of neither.
try '{"repositories": {"a": '"$(computed b ', "bindings": {"x": "b"}')"', "b": {"repository": "a"}}}' | sorted
mr setup-env
# Bindings alone need no root.
try '{"repositories": {"a": '"$(computed b)"', "b": '"$file"', "bindings": {"x": "a"}}}}'
# An error of another repository comes first.
try '{"repositories": {"a": '"$(computed a ', "bindings": {"z": "z"}')"', "z": {"repository": {"type": "archive"}}}}'
try '{"repositories": {"a": '"$(computed a ', "bindings": {"z": "z"}')"', "z": {"repository": {"type": "git tree", "id": "0123456789012345678901234567890123456789", "cmd": ["false"]}}}}'
