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
# A name that stands for another repository has no commit of its own.
cat > repos.json <<END
{"repositories":
{ "a": {"repository": {"type": "git", "repository": "file://$D/git", "branch": "master", "commit": "$FIRST"}}
, "z": {"repository": "a"}
, "y": {"repository": "z"}
, "c": {"repository": {"type": "git", "repository": "file://$D/git", "branch": "gone", "commit": "$FIRST"}}
}}
END
mr update z
mr update a y
mr update c z
# Tags and HEAD; a branch goes before a tag of its name.
git -C "$D/git" tag light
git -C "$D/git" tag -a -m text annotated
git -C "$D/git" tag both
git -C "$D/git" branch both "$FIRST"
for branch in light annotated both HEAD refs/heads/master heads/master; do
  cat > repos.json <<END
{"repositories": {"a": {"repository": {"type": "git", "repository": "file://$D/git", "branch": "$branch", "commit": "$FIRST"}}}}
END
  mr update a
done
