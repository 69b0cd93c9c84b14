# Archives from one directory into another.
touch ROOT
mkdir "$D/dist" "$D/to" "$D/empty"
echo one > "$D/dist/one"
echo two > "$D/dist/two"
cat > repos.json <<END
{"main": "main", "repositories":
{ "a": {"repository": {"type": "foreign file", "content": "$(blob "$D/dist/one")", "fetch": "http://127.0.0.1:1/one", "name": "x"}, "bindings": {"b": "b"}}
, "b": {"repository": {"type": "archive", "content": "$(blob "$D/dist/two")", "fetch": "http://127.0.0.1:1/y", "distfile": "two"}}
, "main": {"repository": {"type": "file", "path": "."}, "bindings": {"a": "a"}}
, "t": {"repository": {"type": "git tree", "id": "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "cmd": ["true"]}}
, "u": {"repository": {"type": "distdir", "repositories": ["a"]}}
, "gone": {"repository": {"type": "foreign file", "content": "$(blob "$D/dist/two")", "fetch": "http://127.0.0.1:1/one", "name": "x", "pragma": {"absent": true}}}
}}
END
mr fetch
mr --distdir "$D/nowhere" fetch
mr --distdir "$D/dist" fetch -o "$D/to"
(cd "$D/to" && ls)
rm "$D/to/"*
mr --distdir "$D/nowhere" --distdir "$D/dist" --main main fetch -o "$D/to"
(cd "$D/to" && ls && cat one two)
mr --distdir "$D/empty" --main b fetch
(cd "$D/empty" && ls)
mr --main u fetch -o "$D/to"
mr --distdir "$D/dist" fetch --all -o "$D/to"
mr fetch nowhere -o "$D/to"
