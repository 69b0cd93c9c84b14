# Newer commits of branches.
touch ROOT
git_repository "$D/git"
FIRST=$COMMIT
echo more > "$D/git/more"
git -C "$D/git" add .
git -C "$D/git" commit -q -m two
cat > repos.json <<END
{"main": "a", "repositories":
{ "a": {"repository": {"type": "git", "repository": "file://$D/git", "branch": "master", "commit": "$FIRST", "number": 1}, "bindings": {"z": "z", "b": "b"}}
, "z": {"repository": "a"}
, "b": {"repository": {"type": "file", "path": "x\u00e9"}}
, "c": {"repository": {"type": "git", "repository": "file://$D/git", "branch": "gone", "commit": "$FIRST"}}
, "d": {"repository": {"type": "git"}}
}}
END
mr update
mr update a
mr update a a
mr update b
mr update nowhere
mr update a nowhere
