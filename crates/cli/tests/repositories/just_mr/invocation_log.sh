# The log of each call of the build tool.
touch ROOT
echo '{"repositories": {"": {"repository": {"type": "file", "path": "."}}}}' > repos.json
hide() {
  sed -E -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{2}:[0-9]{2}:[0-9]{2}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/CALL/g' -e 's/"time": [0-9]+/"time": T/' -e 's/"configuration": "[0-9a-f]{40}"/"configuration": ID/'
}
call() {
  mr "$@" | hide
  for file in $(find "$D/log" -type f); do
    echo "$file" | hide
    hide < "$file"
    echo
  done
  find "$D/log" -mindepth 1 -maxdepth 1 | sort
  rm -rf "$D/log"
}
cat > "$D/rc" <<END
{ "invocation log":
  { "directory": {"root": "system", "path": "$D/log"}
  , "project id": "project"
  , "invocation message": "see http://log/"
  , "metadata": "meta.json"
  , "context variables": ["SOME", "OTHER"]
  , "--dump-graph": "graph"
  , "--dump-plain-graph": "plain"
  , "--dump-artifacts-to-build": "to-build"
  , "--dump-artifacts": "artifacts"
  , "--profile": "profile"
  }
}
END
SOME=value; export SOME
call --rc "$D/rc" build x
call --rc "$D/rc" analyse x
call --rc "$D/rc" describe x
call --rc "$D/rc" version
echo '{"invocation log": {"directory": {"root": "system", "path": "'$D'/log"}}}' > "$D/rc"
call --rc "$D/rc" build x
wrong() {
  echo '{"invocation log": {"directory": {"root": "system", "path": "'$D'/log"}, '"$1"'}}' > "$D/rc"
  echo "# $1"
  call --rc "$D/rc" build x
}
wrong '"project id": "a/b"'
wrong '"metadata": "a/b"'
wrong '"--profile": ".."'
wrong '"--dump-artifacts-to-build": ""'
