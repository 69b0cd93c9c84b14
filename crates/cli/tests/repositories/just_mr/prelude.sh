# Functions of all scripts. $D is the directory of the test; the working directory is $D/w.

# Calls just-mr, and shows what it writes, and its exit code.
mr() {
  echo "\$ just-mr $*"
  just-mr --plain-log --just just --local-build-root "$D/lbr" "$@" > "$D/out" 2> "$D/err"
  code=$?
  cat "$D/err" "$D/out"
  echo "exit $code"
}

# The same without any option that is not given.
bare() {
  echo "\$ just-mr $*"
  just-mr "$@" > "$D/out" 2> "$D/err"
  code=$?
  cat "$D/err" "$D/out"
  echo "exit $code"
}

# The configuration that the last call printed the path of.
config() {
  cat "$(cat "$D/out")"
  echo
}

# The maps of trees in the build root.
maps() {
  (cd "$D/lbr/repositories" && find . -type f -path '*-map/*' | sort | while read -r file; do
    echo "$file $(cat "$file")"
  done)
}

# A git repository with one commit; its id is in $COMMIT.
git_repository() {
  git init -q -b master "$1"
  mkdir -p "$1/sub/deep"
  echo one > "$1/one"
  echo two > "$1/sub/two"
  echo three > "$1/sub/deep/three"
  chmod +x "$1/sub/two"
  ln -s ../one "$1/sub/up"
  ln -s two "$1/sub/beside"
  git -C "$1" add .
  git -C "$1" commit -q -m "one"
  COMMIT=$(git -C "$1" rev-parse HEAD)
}

blob() {
  git hash-object --no-filters "$1"
}
