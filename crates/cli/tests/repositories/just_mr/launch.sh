# The words of the build tool.
touch ROOT
mkdir sub
echo '{"repositories": {"": {"repository": {"type": "file", "path": "."}}, "b": {"repository": {"type": "file", "path": "sub"}}}}' > repos.json
mr build target -J 3 -x --help
mr do build target
mr do
mr do unknown words
mr do -h
mr version
mr gc --all
mr describe --rule x
mr rebuild
mr --main b analyse
mr -L '["a", "b \"c\""]' -D '{"A": 1}' -D '{"B": [2.5, "x"], "A": {"b": null}}' -D '{}' install -o d
mr -L '["env", "--"]' -D '{}' build
mr -f "$D/l1" --log-file "$D/l2" --log-limit 4 --restrict-stderr-log-limit 1 analyse
mr --log-limit 9 --log-append describe
mr -r a:1 --remote-instance-name i -R b:2 --compatible install-cas x
mr -r a:1 --remote-instance-name i -R b:2 add-to-cas x
mr --tls-ca-cert c --tls-client-cert d --tls-client-key e --max-attempts 3 --initial-backoff-seconds 2 --max-backoff-seconds 5 gc
mr --tls-ca-cert c --tls-client-cert d --tls-client-key e --max-attempts 3 --initial-backoff-seconds 2 --max-backoff-seconds 5 add-to-cas y
bare --just "$D/bin/just" build
bare --just "$D/bin/no-just" version
bare --just nowhere version
mr -D x build
mr -D x version
mr -D '[]' describe
(cd sub && mr build x)
