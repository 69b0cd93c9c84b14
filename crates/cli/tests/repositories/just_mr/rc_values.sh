# Values of rc files that are wrong.
touch ROOT
echo '{"repositories": {"": {"repository": {"type": "file", "path": "."}}}}' > repos.json
rc() {
  printf '%s\n' "$1" > "$D/rc"
  mr --rc "$D/rc" setup
}
rc '{"max attempts": "x"}'
rc '{"initial backoff seconds": "x"}'
rc '{"max backoff seconds": "x"}'
rc '{"remote execution": 1}'
rc '{"remote execution": {"address": 1}}'
rc '{"remote execution": {"instance name": 1}}'
rc '{"remote execution": {"compatible": 1}}'
rc '{"remote serve": 1}'
rc '{"remote serve": {"address": 1}}'
rc '{"authentication": 1}'
rc '{"authentication": {"client cert": 1}}'
rc '{"authentication": {"client key": 1}}'
rc '{"invocation log": 1}'
rc '{"absent": 1}'
