# Entries, lists, locations and trees that are wrong, and what cannot be fetched or copied.
touch ROOT
git_repository "$D/git"
mkdir "$D/git/new"
tar -C "$D" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$D/a.tar" git/sub/two
cat > repos.json <<END
{"main": "main", "repositories":
{ "main": {"repository": {"type": "file", "path": "."}}
, "elsewhere": {"repository": {"type": "file", "path": "$D/git"}}
, "subdir": {"repository": {"type": "git", "repository": "$D/git", "branch": "master", "commit": "$COMMIT", "subdir": "nowhere"}}
, "archive subdir": {"repository": {"type": "archive", "content": "$(blob "$D/a.tar")", "fetch": "file://$D/a.tar", "subdir": "nowhere"}}
, "gone": {"repository": {"type": "file", "path": "$D/nowhere", "pragma": {"to_git": true}}}
, "uncommitted": {"repository": {"type": "file", "path": "$D/git/new", "pragma": {"to_git": true}}}
, "absent": {"repository": {"type": "git", "repository": "$D/git", "branch": "master", "commit": "$COMMIT", "pragma": {"absent": true}}, "bindings": {"m": "main"}}
, "file": {"repository": {"type": "foreign file", "content": "0123456789012345678901234567890123456789", "fetch": "file://$D/nowhere", "name": "x"}}
, "other file": {"repository": {"type": "foreign file", "content": "0123456789012345678901234567890123456789", "fetch": "file://$D/git/one", "name": "x"}}
, "archive": {"repository": {"type": "archive", "content": "$(blob "$D/git/one")", "fetch": "file://$D/git/one", "distfile": "one"}}
, "commit": {"repository": {"type": "git", "repository": "$D/git", "branch": "master", "commit": "0123456789012345678901234567890123456789", "mirrors": ["$D/nowhere"]}}
, "branch": {"repository": {"type": "git", "repository": "file://$D/git", "branch": "gone", "commit": "0123456789012345678901234567890123456789"}}
, "absent archive": {"repository": {"type": "archive", "content": "0123456789012345678901234567890123456789", "fetch": "file://$D/nowhere", "pragma": {"absent": true}}}
, "absent commit": {"repository": {"type": "git", "repository": "$D/git", "branch": "master", "commit": "0123456789012345678901234567890123456789", "pragma": {"absent": true}}}
, "env": {"repository": {"type": "git tree", "id": "0123456789012345678901234567890123456789", "cmd": ["true"], "inherit env": [1]}}
}}
END
mr --norc --main main setup elsewhere
for name in subdir "archive subdir" gone uncommitted absent file "other file" commit branch "absent archive" "absent commit" env; do
  mr --norc setup "$name"
done
for subdir in git/nowhere git/sub/nowhere/deep nowhere/deep git/sub/two/deep/er; do
  echo "# $subdir"
  sed "s|\"subdir\": \"nowhere\"|\"subdir\": \"$subdir\"|" repos.json > changed.json
  mr --norc -C changed.json setup "archive subdir"
done
mkdir -p "$D/to/one"
mr --norc fetch -o "$D/to" archive
for list in '[' '{"a": 1' ''; do
  printf '%s' "$list" > "$D/absent"
  mr --norc --absent "$D/absent" setup main
done
for locations in 1 '"a"' '[]' null true '{"checkouts": 1}' '{"checkouts": {"git": 1}}' '{"local mirrors": 1}'; do
  printf '%s' "$locations" > "$D/locations"
  echo "# $locations"
  mr --norc --checkout-locations "$D/locations" setup main
done
echo '{"repositories": {"a": 1}}' > repos.json
mr --norc setup --all
