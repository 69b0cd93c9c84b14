# Directories that become git trees: those that are part of no git repository are imported in each call, with a warning if
# the call launches the build tool.
touch ROOT
mkdir plain linked
echo 1 > plain/file
echo 2 > linked/file
ln -s file linked/link
git_repository "$D/git"
cat > repos.json <<END
{ "main": "main"
, "repositories":
  { "main": {"repository": {"type": "file", "path": "."}, "bindings": {"p": "plain", "g": "git"}}
  , "plain": {"repository": {"type": "file", "path": "plain", "pragma": {"to_git": true}}}
  , "git": {"repository": {"type": "file", "path": "../git", "pragma": {"to_git": true}}}
  }
}
END
mr build
mr build
mr describe x
mr do build
mr setup
mr setup-env
echo '{"repositories": {"": {"repository": {"type": "file", "path": "linked", "pragma": {"special": "resolve-completely"}}}}}' > repos.json
mr analyse
echo '{"repositories": {"": {"repository": {"type": "file", "path": "./plain/.", "pragma": {"special": "ignore", "to_git": true}}}}}' > repos.json
mr analyse
echo '{"repositories": {"": {"repository": {"type": "file", "path": "plain", "pragma": {"special": "ignore"}}}}}' > repos.json
mr analyse
# What is not there is part of no git repository, also inside of one.
git init -q -b master .
echo '{"main": "main", "repositories": {"main": {"repository": {"type": "file", "path": "."}, "bindings": {"p": "p"}}, "p": {"repository": {"type": "file", "path": "none", "pragma": {"to_git": true}}}}}' > repos.json
mr build
mr setup
mr describe x
