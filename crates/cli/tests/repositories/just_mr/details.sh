# Paths with a slash at the end, copies that cannot be made, and what is wrong beside what can be set up.
touch ROOT
git_repository "$D/git"
tar -C "$D" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$D/a.tar" git/sub/two git/sub/deep
for subdir in git/none/ git/none/. git/none/x/.. git/sub/two/ ../b/ /git/ .. ./ git/sub/ git/sub/deep/..; do
  echo "# $subdir"
  rm -rf "$D/lbr"
  cat > repos.json <<END
{"repositories":
{ "archive": {"repository": {"type": "archive", "content": "$(blob "$D/a.tar")", "fetch": "file://$D/a.tar", "subdir": "$subdir"}}
, "git": {"repository": {"type": "git", "repository": "$D/git", "branch": "master", "commit": "$COMMIT", "subdir": "${subdir#git/}"}}
}}
END
  # First of the archive, then of its tree.
  for name in archive archive git; do
    mr --norc setup "$name" > "$D/shown"
    grep -v "/casf/" "$D/shown"
  done
done
cat > repos.json <<END
{"repositories":
{ "a": {"repository": {"type": "archive", "content": "$(blob "$D/a.tar")", "fetch": "file://$D/a.tar"}}
, "alias": {"repository": "a"}
, "deep": {"repository": {"type": "archive", "content": "$(blob "$D/a.tar")", "fetch": "file://$D/a.tar", "distfile": "x/a.tar"}}
}}
END
touch "$D/file"
mkdir -p "$D/to" "$D/taken/a.tar"
mr --norc fetch -o none a
mr --norc fetch -o none/deep a
mr --norc fetch -o "$D/file" a
mr --norc fetch -o "$D/to" deep
mr --norc fetch -o "$D/taken" alias
for wrong in '"a"' 3 null '[]' '{}' '{"repository": 3}'; do
  echo "# $wrong"
  cat > repos.json <<END
{"main": "a", "repositories":
{ "a": {"repository": {"type": "archive", "content": "$(blob "$D/a.tar")", "fetch": "file://$D/a.tar"}}
, "cut": {"repository": {"type": "archive", "content": "0123456789012345678901234567890123456789", "fetch": "file://$D/none"}}
, "wrong": $wrong
}}
END
  mr --norc setup > "$D/shown"
  grep -v "/casf/" "$D/shown"
  # In which order threads fail does not matter.
  mr --norc setup --all | LC_ALL=C sort
  mr --norc fetch --all -o "$D/to"
done
mr --norc update wrong
echo '{"repositories": {"wrong": {}}}' > repos.json
mr --norc update wrong
mr --norc fetch -o "$D/to" wrong
