# The rc file, and files that it names.
touch ROOT
mkdir etc "$D/dist1" "$D/dist2" "$D/elsewhere" "$D/home/dist3"
echo '{"repositories": {"": {"repository": {"type": "file", "path": "."}}}}' > etc/my.json
cat > "$D/home/.just-mrrc" <<END
{ "rc files": [{"root": "workspace", "path": "rc.json"}, {"root": "workspace", "path": "none.json"}, {"root": "system", "path": "$D/rc2.json"}]
, "config lookup order": [{"root": "workspace", "path": "nothing.json"}, {"root": "workspace", "path": "etc/my.json", "base": "etc"}]
, "just": {"root": "home", "path": "../bin/just"}
, "just args": {"build": ["-J", "7"], "version": ["v"]}
, "just files": {"config": [{"root": "workspace", "path": "c0.json"}, {"root": "workspace", "path": "c1.json"}]}
, "local launcher": ["l"]
, "log limit": 4
, "distdirs": [{"root": "home", "path": "dist3"}, {"root": "home", "path": "gone"}]
, "remote-execution properties": ["p:1", "q:2"]
, "max attempts": 2.0
, "remote execution": {"address": "h:1", "instance name": "n"}
, "remote serve": {}
, "authentication": {"ca cert": {"root": "home", "path": "ca"}}
, "local build root": {"root": "home", "path": "root"}
, "something": {"unknown": true}
}
END
echo '{"just args": {"build": ["-J", "8"], "install": []}, "restrict stderr log limit": 2, "rc files": [1], "distdirs": [{"root": "system", "path": "'$D'/dist1"}]}' > rc.json
echo '{"just files": {"endpoint-configuration": [{"root": "workspace", "path": "e.json"}]}, "distdirs": [], "local launcher": ["m", "n"], "remote execution": {"compatible": true}}' > "$D/rc2.json"
touch c1.json e.json
echo certificate > "$D/home/ca"
bare --dump-rc "$D/rc" --plain-log build x
cat "$D/rc"
bare --norc --plain-log --just "$D/bin/just" version
bare --rc rc.json --dump-rc "$D/rc" --plain-log --just "$D/bin/just" version
cat "$D/rc"
bare --plain-log -L '["o"]' --local-build-root "$D/lbr" --log-limit 3 -r other:2 install
bare --plain-log -C etc/my.json describe
bare --rc "$D/nowhere" version
wrong() {
  printf '%s\n' "$1" > "$D/wrong"
  echo "# $1"
  bare --rc "$D/wrong" --plain-log --just "$D/bin/just" version
}
wrong '['
wrong '[]'
wrong '{"rc files": 1}'
wrong '{"rc files": [{}]}'
wrong '{"git": {"root": "home"}}'
wrong '{"just args": 1}'
wrong '{"just args": {"build": 1}}'
wrong '{"just args": {"build": [1]}}'
wrong '{"just files": 1}'
wrong '{"just files": {"config": 1}}'
wrong '{"distdirs": 1}'
wrong '{"local launcher": 1}'
wrong '{"local launcher": [1]}'
wrong '{"log limit": "x"}'
wrong '{"log files": 1}'
wrong '{"remote execution": 1}'
wrong '{"remote execution": {"address": 1}}'
wrong '{"remote execution": {"compatible": 1}}'
wrong '{"remote serve": 1}'
wrong '{"authentication": 1}'
wrong '{"remote-execution properties": 1}'
wrong '{"remote-execution properties": [1]}'
wrong '{"max attempts": "x"}'
wrong '{"invocation log": 1}'
wrong '{"checkout locations": {"root": "home", "path": "gone"}}'
cd "$D/elsewhere"
bare --norc --plain-log setup
bare --norc --plain-log --just "$D/bin/just" version
echo '{"repositories": {"": {"repository": {"type": "file", "path": "x"}}}}' > "$D/home/.just-repos.json"
bare --norc --plain-log setup
config
