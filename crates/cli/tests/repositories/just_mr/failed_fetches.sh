# What is fetched, and is not what it should be, or is nowhere. Each call has a build root of its own.
touch ROOT
mkdir d
echo hi > d/x
archive() {
  tar --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=644 -cf "$@"
}
archive "$D/a.tar" d
described() {
  echo "{\"main\": \"m\", \"repositories\": {\"m\": {\"repository\": {\"type\": \"archive\", $1}}}}" > repos.json
  rm -rf "$D/lbr"
  mr fetch -o "$D/w"
  rm -rf "$D/lbr"
  mr setup
}
ID=$(blob "$D/a.tar")
OTHER=0000000000000000000000000000000000000001
described "\"content\": \"$OTHER\", \"fetch\": \"file://$D/a.tar\""
described "\"content\": \"$ID\", \"fetch\": \"file://$D/none.tar\""
described "\"content\": \"$ID\", \"fetch\": \"file://$D/none.tar\", \"mirrors\": [\"file://$D/nothing.tar\"]"
described "\"content\": \"$ID\", \"fetch\": \"file://$D/a.tar\", \"sha256\": \"$(printf '%064d' 1)\""
described "\"content\": \"$OTHER\", \"fetch\": \"file://$D/a.tar\", \"sha512\": \"$(printf '%0128d' 1)\""
described "\"content\": \"$OTHER\", \"fetch\": \"file://$D/none.tar\", \"mirrors\": [\"file://$D/a.tar\"]"
# Paths are shown as they are written, if nothing is there.
mr -C none.json setup
mr -C ./below/../none.json setup
mr --absent none.json setup
mr --checkout-locations none.json setup
bare --rc none.json setup
bare --rc ./none/rc.json setup
described "\"content\": \"$ID\", \"fetch\": \"file://$D/a.tar\""
mkdir to
mr fetch -o to
mr fetch -o ./to/
