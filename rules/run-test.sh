# Runs a test in the directory `work`, keeps what it prints in files, and says whether it passed.
#
# sh run-test.sh COMMAND...

top=$(pwd -P)
mkdir -p work scratch
# Before the test, so that all outputs are there if it is ended from outside, as when it exceeds its time limit.
echo FAIL > result
# Files of a test belong here, and are dropped with the directory of the action.
export HOME="$top/scratch" TMPDIR="$top/scratch" TEST_TMPDIR="$top/scratch"

(cd work && exec "$@") < /dev/null > stdout 2> stderr
code=$?
# The directory of the action is another one in each run, and gone afterwards: paths in it become relative to `work`.
for stream in stdout stderr; do
  if grep -qF -e "$top" "$stream" 2> /dev/null; then
    pattern=$(printf '%s\n' "$top" | sed 's/[][\.*^$|]/\\&/g')
    if LC_ALL=C sed -e "s|$pattern/work/||g" -e "s|$pattern/work\([^[:alnum:]_.-]\)|.\1|g" \
      -e "s|$pattern/work\$|.|" -e "s|$pattern|..|g" "$stream" > .relative; then
      mv -f .relative "$stream"
    fi
  fi
done
if [ $code -eq 0 ]; then
  echo PASS > result
  exit 0
fi
cat stdout
cat stderr >&2
if [ $code -gt 128 ]; then
  echo "The test was ended by signal $((code - 128))." >&2
else
  echo "The test ended with exit code $code." >&2
fi
exit 1
