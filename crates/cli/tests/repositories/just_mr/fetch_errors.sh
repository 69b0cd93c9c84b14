# What is wrong with the description of a repository, as `fetch` reports it: it reads only what it may have to fetch.
touch ROOT
ID=0123456789012345678901234567890123456789
try() {
  echo "# $1"
  echo "{\"repositories\": {\"q\": {\"repository\": $1}}}" > repos.json
  mr --norc fetch -o .
}
for type in '"git tree"' '"archive"' '"zip"' '"foreign file"' '"file"' '"git"' '"distdir"' '"computed"' '"tree structure"' '"none"' 7; do
  try "{\"type\": $type}"
done
try '{}'
try 7
try '"q2"'
try "{\"type\": \"git tree\", \"id\": \"abc\", \"cmd\": [\"true\"]}"
try "{\"type\": \"git tree\", \"id\": \"$ID\", \"cmd\": \"true\"}"
try "{\"type\": \"git tree\", \"id\": \"$ID\", \"cmd\": [\"true\"], \"env\": {\"a\": 3}}"
try "{\"type\": \"git tree\", \"id\": \"$ID\", \"cmd\": [\"true\"]}"
try "{\"type\": \"git tree\", \"id\": \"$ID\", \"cmd\": [\"sh\", \"-c\", \"echo out; exit 7\"]}"
try "{\"type\": \"archive\", \"content\": \"$ID\", \"fetch\": 7}"
try "{\"type\": \"archive\", \"content\": \"$ID\", \"fetch\": \"file:///none\", \"subdir\": \"..\"}"
try "{\"type\": \"archive\", \"content\": \"$ID\", \"fetch\": \"file:///none\", \"mirrors\": \"x\"}"
try "{\"type\": \"foreign file\", \"content\": \"$ID\", \"fetch\": \"file:///none\", \"name\": \"a/b\"}"
try "{\"type\": \"git\", \"repository\": \"x\", \"commit\": \"abc\", \"branch\": 7}"
try "{\"type\": \"distdir\", \"repositories\": [\"none\"]}"
