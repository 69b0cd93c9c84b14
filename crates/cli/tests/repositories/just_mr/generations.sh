# What is used stays; what is not goes with the second collection.
touch ROOT
mkdir "$D/dist"
echo one > "$D/dist/one"
git_repository "$D/git"
git clone -q --bare "$D/git" "$D/remote.git"
cat > repos.json <<END
{"repositories":
{ "a": {"repository": {"type": "foreign file", "content": "$(blob "$D/dist/one")", "fetch": "http://127.0.0.1:1/one", "name": "x"}}
, "g": {"repository": {"type": "git", "repository": "file://$D/nowhere", "mirrors": ["file://$D/remote.git"], "branch": "master", "commit": "$COMMIT", "subdir": "sub"}}
}}
END
mr --distdir "$D/dist" setup a
config
mr setup g
config
rm -rf "$D/dist" "$D/remote.git"
mr gc-repo
ls "$D/lbr/repositories"
mr setup a
mr setup g
config
maps | grep distfiles
mr gc-repo --drop-only
ls "$D/lbr/repositories"
mr setup g
mr gc-repo
mr gc-repo
ls "$D/lbr/repositories"
