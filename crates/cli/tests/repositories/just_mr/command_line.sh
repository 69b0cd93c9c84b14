# Words that the parser of the command line reads in its own way.
touch ROOT
echo '{"repositories": {"": {"repository": {"type": "file", "path": "."}}}}' > repos.json
bare
bare bogus
bare --bogus version
bare --bogus -q build
bare --just
bare --just=no version
bare --just "$D/bin/no" --just "$D/bin/just" version
bare --just "$D/bin/just" --plain-log --plain-log=false version
bare --plain-log=x version
bare -j x version
bare -j -1 version
bare --log-limit x version
bare --max-attempts x version
bare -L x version
bare -L '{}' version
bare -L '[1]' version
bare -- version
bare version -- --main
bare --plain-log --just just version install -h --help -- x -- y
bare --plain-log --just just version a -- b
bare --plain-log --just just version a --
bare --plain-log --just just version -- --log-limit 4
bare --plain-log setup a b
bare --plain-log setup --main
bare --plain-log setup x --all y
bare --plain-log fetch -o
bare --plain-log update a b --x
bare --plain-log setup-env -x -yz
bare --plain-log gc-repo x
bare --plain-log mrversion x
mr -Crepos.json --main= a version
mr --main=a --main '' setup
bare --plain-log --local-build-root none/root gc-repo
bare --plain-log --norc --local-build-root none setup
bare --plain-log --just just --local-build-root none/../below version
