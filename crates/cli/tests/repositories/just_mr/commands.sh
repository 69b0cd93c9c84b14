# Commands of git trees: what they see of the environment, where programs are found, and what counts of what they leave.
touch ROOT
mkdir -p "$D/programs"
printf '#!/bin/sh\nexport -p | cut -d= -f1 | grep -v "PWD\\|SHLVL" > "$D/seen"\necho made > file\n' | sed "s,\$D,$D," > "$D/programs/make-it"
cp "$D/programs/make-it" "$D/programs/launch-it"
chmod +x "$D/programs/"*
mkdir made && echo made > made/file
git init -q made && git -C made add file && TREE=$(git -C made write-tree)

# A repository by a command, with other fields.
of() {
  printf '{"repositories": {"a": {"repository": {"type": "git tree", "id": "%s", "cmd": %s}}}}\n' "${3:-$TREE}" "$1$2" > repos.json
  rm -rf "$D/lbr" "$D/seen"
}
seen() { test -f "$D/seen" && sed 's/^export //; s/^declare -x //' "$D/seen" | sort; }

FOO=foo; BAR=bar; export FOO BAR
PATH="$D/programs:$PATH"
echo '## Nothing that is not named'
of '["/bin/sh", "-c", ". '"$D"'/programs/make-it"]'
mr setup; seen
of '["make-it"]' ', "env": {"OWN": "1", "FOO": "own"}, "inherit env": ["FOO", "PATH", "NOT_THERE"]'
mr setup; seen
echo '## What all repositories inherit'
echo '{"extra inherit env": ["BAR"]}' > locations.json
of '["/bin/sh", "-c", ". '"$D"'/programs/make-it"]' ', "inherit env": ["FOO"]'
mr --checkout-locations locations.json setup; seen
echo '## The launcher is searched in PATH of the call, and nothing else'
of '["make-it"]'
mr setup; seen
mr --local-launcher '[]' setup; seen
of '["make-it"]' ', "env": {"PATH": "/decoy"}'
mr --local-launcher '["launch-it"]' setup; seen
echo '## The tree decides'
of '["sh", "-c", "echo made > file; exit 3"]'
mr setup
of '["sh", "-c", "mkdir -p x/y; echo made > x/y/file; kill -9 $$"]'
mr setup
of '["sh", "-c", "echo out; echo err >&2; echo other > file; exit 3"]'
mr setup
of '["sh", "-c", "echo other > file"]'
mr setup
of '["sh", "-c", "kill -9 $$"]'
mr setup
