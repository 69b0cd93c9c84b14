# A distdir of two archives with one content: it is had as the first in the list has it.
touch ROOT
mkdir -p "$D/dist" "$D/a/top"
echo a > "$D/a/top/file"
tar -C "$D/a" --sort=name --owner=0 --group=0 --mtime=@0 -cf "$D/dist/z.tar" top
A=$(blob "$D/dist/z.tar")
cat > repos.json <<END
{"repositories":
{ "a": {"repository": {"type": "archive", "content": "$A", "fetch": "http://127.0.0.1:1/z.tar", "distfile": "z.tar"}}
, "b": {"repository": {"type": "archive", "content": "$A", "fetch": "http://127.0.0.1:1/other", "distfile": "other"}}
, "ab": {"repository": {"type": "distdir", "repositories": ["a", "b"]}}
, "ba": {"repository": {"type": "distdir", "repositories": ["b", "a"]}}
}}
END
just-mr --norc --just just --local-build-root "$D/lbr" --distdir "$D/dist" setup ba > "$D/out" 2>&1
echo "exit $?"
mr --distdir "$D/dist" setup ab
config
# One whose archive cannot be had.
cat > repos.json <<END
{"repositories":
{ "": {"repository": {"type": "distdir", "repositories": ["a", "b"]}}
, "a": {"repository": {"type": "archive", "content": "$A", "fetch": "http://127.0.0.1:1/z.tar"}}
, "b": {"repository": {"type": "archive", "content": "0000000000000000000000000000000000000001", "fetch": "file://$D/none/b"}}
}}
END
mr --distdir "$D/dist" setup
