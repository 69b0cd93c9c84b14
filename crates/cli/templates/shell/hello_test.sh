text=$(./hello test)
test "$text" = "Hello, test!" || { echo "got: $text"; exit 1; }
