text=$(./hello test | python3 ./shout)
test "$text" = "HELLO, TEST!" || { echo "got: $text"; exit 1; }
