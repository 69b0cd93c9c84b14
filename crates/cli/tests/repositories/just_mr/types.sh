# A repository of each type; none needs the network.
touch ROOT
git_repository "$D/git"
mkdir -p "$D/dist" "$D/a/top/in"
echo a > "$D/a/top/in/file"
echo x > "$D/a/top/program"
chmod +x "$D/a/top/program"
ln -s in/file "$D/a/top/link"
ln -s ../program "$D/a/top/in/up"
tar -C "$D/a" --sort=name --owner=0 --group=0 --mtime=@0 -cf "$D/dist/a.tar" top
echo UEsDBBQAAAAAAAAAIQAHoerdAgAAAAIAAAAGAAAAZC9maWxlYQpQSwECFAMUAAAAAAAAACEAB6Hq3QIAAAACAAAABgAAAAAAAAAAAAAApIEAAAAAZC9maWxlUEsFBgAAAAABAAEANAAAACYAAAAAAA== | base64 -d > "$D/dist/z.zip"
echo foreign > "$D/dist/foreign"
A=$(blob "$D/dist/a.tar"); Z=$(blob "$D/dist/z.zip"); F=$(blob "$D/dist/foreign")
mkdir plain
echo 1 > plain/file
ln -s file plain/link
cat > repos.json <<END
{ "main": "main"
, "repositories":
  { "main":
    { "repository": {"type": "file", "path": ""}
    , "bindings":
      { "git": "git", "sub": "git sub", "a": "archive", "in": "archive in", "z": "zip", "f": "foreign", "x": "foreign x"
      , "d": "distdir", "s": "structure", "c": "computed", "t": "to_git", "i": "ignored", "m": "made", "o": "other"
      , "p": "partially", "r": "completely", "gi": "git ignored", "tr": "to_git resolved", "ai": "archive ignored"
      }
    , "target_file_name": "T", "rule_file_name": "R", "expression_file_name": "E"
    }
  , "git": {"repository": {"type": "git", "repository": "$D/git", "branch": "master", "commit": "$COMMIT"}, "bindings": {"number": "layer"}}
  , "git sub": {"repository": {"type": "git", "repository": "file://$D/git", "branch": "master", "commit": "$COMMIT", "subdir": "./sub/deep/"}}
  , "git ignored": {"repository": {"type": "git", "repository": "../git", "branch": "master", "commit": "$COMMIT", "subdir": "sub", "pragma": {"special": "ignore"}}}
  , "archive": {"repository": {"type": "archive", "content": "$A", "fetch": "http://127.0.0.1:1/x/a.tar", "subdir": "top"}, "target_root": "layer", "rule_root": "zip", "expression_root": "main"}
  , "archive in": {"repository": {"type": "archive", "content": "$A", "fetch": "http://127.0.0.1:1/other", "distfile": "a.tar", "subdir": "top/in"}}
  , "archive ignored": {"repository": {"type": "archive", "content": "$A", "fetch": "http://127.0.0.1:1/x/a.tar", "subdir": "top", "pragma": {"special": "ignore"}}}
  , "partially": {"repository": {"type": "archive", "content": "$A", "fetch": "http://127.0.0.1:1/x/a.tar", "pragma": {"special": "resolve-partially"}}}
  , "completely": {"repository": {"type": "archive", "content": "$A", "fetch": "http://127.0.0.1:1/x/a.tar", "pragma": {"special": "resolve-completely"}}}
  , "layer": {"repository": {"type": "file", "path": "plain/../plain/"}}
  , "zip": {"repository": {"type": "zip", "content": "$Z", "fetch": "http://127.0.0.1:1/z.zip"}}
  , "foreign": {"repository": {"type": "foreign file", "content": "$F", "fetch": "http://127.0.0.1:1/foreign", "name": "a \"name\""}}
  , "foreign x": {"repository": {"type": "foreign file", "content": "$F", "fetch": "http://127.0.0.1:1/foreign", "name": "n", "executable": true}}
  , "distdir": {"repository": {"type": "distdir", "repositories": ["archive", "zip", "git", "archive in", "foreign", "other"]}}
  , "structure": {"repository": {"type": "tree structure", "repo": "git"}}
  , "computed": {"repository": {"type": "computed", "repo": "git", "target": ["t", "t"], "config": {"X": 1, "Y": [null, "y"]}}}
  , "to_git": {"repository": {"type": "file", "path": "plain", "pragma": {"to_git": true}}}
  , "to_git resolved": {"repository": {"type": "file", "path": "plain", "pragma": {"special": "resolve-completely"}}}
  , "ignored": {"repository": {"type": "file", "path": "plain", "pragma": {"special": "ignore"}}}
  , "made": {"repository": {"type": "git tree", "id": "$(git -C "$D/git" rev-parse HEAD:sub)", "cmd": ["sh", "-c", "mkdir -p x && git --git-dir=\$GIT archive HEAD:sub | tar -C x -x"], "env": {"GIT": "$D/git/.git"}, "inherit env": ["PATH"]}}
  , "other": {"repository": "archive", "bindings": {}}
  , "not reached": {"repository": "nothing"}
  }
}
END
mr --distdir "$D/dist" setup
config
maps
mr --distdir "$D/nowhere" setup
config | git hash-object --stdin > "$D/first"
mr setup-env
config
mr --main "archive in" setup
config
mr setup "foreign"
config
mr --main git setup-env
config
git --git-dir="$D/lbr/repositories/generation-0/git" for-each-ref --format='%(*objecttype) %(*tree) %(*subject), %(subject)' | grep -v '^tree\|Content of tree' | sort
# A command without words: the launcher alone.
for id in 4b825dc642cb6eb9a060e54bf8d69288fbee4904 4b825dc642cb6eb9a060e54bf8d69288fbee4905; do
  echo '{"repositories": {"": {"repository": {"type": "git tree", "id": "'$id'", "cmd": []}}}}' > empty.json
  mr -C empty.json setup
done
