# What the programs of lua do; $1 is the directory that they are in.
cat > script.lua <<'END'
print(_VERSION, 7 // 2, 7 / 2, 2^53, math.type(1), string.format("%5.2f|%q", math.pi, "a\nb"))
local t = {} for word in ("the quick brown fox"):gmatch("%a+") do t[#t + 1] = word:upper() end
print(table.concat(t, ","), #t, select("#", table.unpack(t)), utf8.char(228, 8364))
print(pcall(error, "thrown"), string.pack("<i4", 7):byte(1, -1))
print(coroutine.wrap(function(a) local b = coroutine.yield(a + 1) end)(1), package.cpath ~= nil, os.getenv("HOME") ~= nil)
error("at the end")
END
"$1/lua" script.lua 2>&1 | sed "s|^$1/||"
"$1/luac" -l script.lua | sed 's/0x[0-9a-f]*/0x/g' | tail -n 30
