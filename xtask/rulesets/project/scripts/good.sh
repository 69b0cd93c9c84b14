set -e
test -d "${TEST_TMPDIR}"
echo kept > kept.txt
mkdir -p dir && cp data.txt dir
grep -q data data.txt
