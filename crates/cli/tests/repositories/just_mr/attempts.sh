# Numbers about attempts to reach a server that are zero.
touch ROOT
mkdir "$D/dist"
echo one > "$D/one"
cat > repos.json <<END
{"main": "main", "repositories":
{ "main": {"repository": {"type": "file", "path": "."}, "bindings": {"a": "a"}}
, "a": {"repository": {"type": "foreign file", "content": "$(blob "$D/one")", "fetch": "file://$D/one", "name": "x"}}
}}
END
for option in --max-attempts --initial-backoff-seconds --max-backoff-seconds; do
  for call in setup setup-env "build x" "do describe" "fetch -o $D/dist" "fetch -o $D/dist nowhere" "version"; do
    mr --norc $option 0 $call
  done
done
ls "$D/dist"
mr --norc --max-attempts 00 setup
mr --norc --max-attempts 0 gc-repo
mr --norc --max-attempts 0 fetch -o "$D/dist" nowhere
mr --norc -C "$D/w/no.json" --max-attempts 0 setup
mr --norc --max-attempts 0 setup nowhere
mr --norc --max-attempts 0 --max-attempts 2 setup
# The first one that is looked at.
mr --norc --max-attempts 0 --max-backoff-seconds 0 setup
mr --norc --max-attempts 0 --max-backoff-seconds 0 --initial-backoff-seconds 0 setup
mr --norc --max-attempts 0 --tls-client-cert repos.json setup
mr --norc --max-attempts 0 --tls-client-key repos.json fetch -o "$D/dist"
# In an rc file.
for key in "max attempts" "initial backoff seconds" "max backoff seconds"; do
  for value in 0 0.0 0.4 -0.4 4294967296; do
    printf '{"%s": %s}\n' "$key" "$value" > "$D/rc"
    mr --rc "$D/rc" setup
  done
  mr --rc "$D/rc" --max-attempts 1 --initial-backoff-seconds 1 --max-backoff-seconds 1 setup
done
for value in 0.5 -1 -1.5 4294967295.6 1e10 -1e10 1e30 -1e30; do
  printf '{"max attempts": %s}\n' "$value" > "$D/rc"
  mr --rc "$D/rc" add-to-cas x
done
