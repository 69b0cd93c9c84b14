# Archives with entries that have the name of a git directory: they are in the tree like any others.
touch ROOT
mkdir -p top/.git top/sub/.git top/two "$D/dist"
echo 1 > top/.git/HEAD
echo 2 > top/sub/.git/x
echo 3 > top/two/.git
echo 4 > top/.gitmodules
tar --sort=name --owner=0 --group=0 --mtime=@0 -cf "$D/dist/a.tar" top
A=$(blob "$D/dist/a.tar")
cat > repos.json <<END
{ "main": "a"
, "repositories":
  { "a":
    { "repository": {"type": "archive", "content": "$A", "fetch": "http://127.0.0.1:1/a.tar", "subdir": "top"}
    , "bindings": {"sub": "sub"}
    }
  , "sub":
    {"repository": {"type": "archive", "content": "$A", "fetch": "http://127.0.0.1:1/a.tar", "subdir": "top/sub/.git"}}
  }
}
END
mr --distdir "$D/dist" setup
config
git --git-dir="$D/lbr/repositories/generation-0/git" ls-tree -r "$(config | grep -o '"[0-9a-f]\{40\}"' | head -1 | tr -d '"')"
