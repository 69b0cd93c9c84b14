#!/bin/sh
failed=0
for result in */result; do
    if [ "$(cat "$result")" != PASS ]; then failed=$((failed + 1)); fi
done
echo "$failed of $(ls -d */ | wc -l) failed"
test $failed -eq 0
