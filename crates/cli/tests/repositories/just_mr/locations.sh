# Checkout locations, mirrors, absent repositories.
touch ROOT
git_repository "$D/git"
cat > repos.json <<END
{"main": "main", "repositories":
{ "main": {"repository": {"type": "file", "path": "."}, "bindings": {"g": "g", "t": "t", "f": "f"}}
, "g": {"repository": {"type": "git", "repository": "https://example.invalid/g", "branch": "master", "commit": "$COMMIT", "subdir": "sub", "pragma": {"absent": true}}}
, "t": {"repository": {"type": "git tree", "id": "0123456789012345678901234567890123456789", "cmd": ["false"], "pragma": {"absent": true, "special": "ignore"}}}
, "f": {"repository": {"type": "foreign file", "content": "0123456789012345678901234567890123456789", "fetch": "http://127.0.0.1:1/one", "name": "x", "pragma": {"absent": true}}}
}}
END
echo '{"checkouts": {"git": {"https://example.invalid/g": "'$D'/git", "other": 1}}, "local mirrors": {"x": ["y"]}, "preferred hostnames": ["a"], "extra inherit env": ["E"], "unknown": 1}' > "$D/home/.just-local.json"
mr setup t
mr setup f
mr setup g
mr --log-limit 0 setup
config
echo '["t"]' > "$D/absent"
mr --absent "$D/absent" setup g
config
mr --absent "$D/absent" setup t
config
echo '{}' > "$D/absent"
mr --absent "$D/absent" setup
echo '[1]' > "$D/absent"
mr --absent "$D/absent" setup
mr --absent "$D/nowhere" setup
mr --fetch-absent setup g
config
mr --checkout-locations "$D/nowhere" setup
echo '[' > "$D/bad"
mr --checkout-locations "$D/bad" setup
