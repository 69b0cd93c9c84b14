# Directories that are to be git trees, and have a `.git` that is no repository: it is passed over, unless its form is wrong.
touch ROOT
mkdir -p empty/.git pointer half/.git/objects no_refs/.git/objects unborn/.git/objects unborn/.git/refs link text
for d in empty pointer half no_refs unborn link text; do echo $d > $d/f; done
echo "gitdir: /decoy/nowhere" > pointer/.git
echo "ref: refs/heads/x" | tee half/.git/HEAD no_refs/.git/HEAD > unborn/.git/HEAD
ln -s /decoy/nowhere link/.git
echo "no pointer" > text/.git
# Within another repository, whose commit is taken.
git init -q outer; mkdir -p outer/in/.git; echo in > outer/in/f; git -C outer add -f in/f; git -C outer commit -q -m 1
for d in empty pointer half no_refs unborn link text outer/in; do
  echo '{"repositories": {"": {"repository": {"type": "file", "path": "'$d'", "pragma": {"to_git": true}}}}}' > repos.json
  mr --norc setup
  test $code != 0 || config
done

# Links that lead out of a tree.
mkdir up; ln -s ../x up/l; tar --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=755 -cf up.tar -C up .
for source in '"type": "file", "path": "up"' '"type": "archive", "content": "'$(blob up.tar)'", "fetch": "file://'$D'/w/up.tar"'; do
  echo '{"repositories": {"": {"repository": {'$source', "pragma": {"to_git": true, "special": "resolve-partially"}}}}}' > repos.json
  mr --norc setup
done

# Null in place of what has to be there.
for all in '"a": null' '"a": {"repository": null}' '"a": {"repository": "b"}, "b": {"repository": null}' \
  '"a": {"repository": "b"}, "b": null'; do
  echo '{"repositories": {'$all'}}' > repos.json
  mr --norc setup
done

# Names of archives with directories.
echo hello > hello
for name in sub/x sub/../y; do
  rm -rf out; mkdir -p out/sub
  echo '{"repositories": {"": {"repository": {"type": "foreign file", "name": "x", "content": "'$(blob hello)'",
    "fetch": "file://'$D'/w/hello", "distfile": "'$name'"}}}}' > repos.json
  mr --norc fetch -o out
  find out -type f
done
