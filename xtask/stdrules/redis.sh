# What the programs of redis do; $1 is the directory that they are in.
"$1/redis-server" --port 0 --unixsocket "$PWD/s" --save '' > log 2>&1 &
server=$!
for i in $(seq 100); do test -S s && break; sleep 0.1; done
"$1/redis-cli" -s s <<'END'
SET a 1
INCR a
LPUSH l 1 2 3
LRANGE l 0 -1
ZADD z 1.5 x 2 y
ZRANGE z 0 -1 WITHSCORES
EVAL "return {KEYS[1], redis.call('get', 'a'), cjson.encode({1, 2, {3}})}" 1 k
GEOADD g 13.361389 38.115556 P 15.087269 37.502669 C
GEODIST g P C km
PFADD h a b c
PFCOUNT h
OBJECT ENCODING l
SETBIT b 7 1
BITCOUNT b
XADD s 1-1 f v
XRANGE s - +
VADD v VALUES 3 1 2 3 e
VSIM v VALUES 3 1 2 3
DEBUG DIGEST
COMMAND COUNT
END
"$1/redis-benchmark" -s s -n 1000 -t set,get -q | sed 's/:.*//'
kill $server; wait $server
