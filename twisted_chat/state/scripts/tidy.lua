-- Erases lines that are too old, of a few rooms and a few of each.
--
-- ARGV: the time before which they are too old; how many rooms; how many lines of each.
-- Gives: how many rooms it has looked at.
local rooms = redis.call('ZRANGEBYSCORE', 'tcpchat:eldest', '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
local before = tonumber(ARGV[1])
for _, room in ipairs(rooms) do
  local key = 'tcpchat:lines:' .. room
  local old, eldest = 0, nil
  for _, line in ipairs(redis.call('ZRANGE', key, 0, ARGV[3] - 1)) do
    local time = string.match(line, '^%[[^,]*,([^,]*),')
    eldest = tonumber(time) or before
    if eldest >= before then
      break
    end
    old = old + 1
  end
  if old > 0 then
    redis.call('ZREMRANGEBYRANK', key, 0, old - 1)
  end
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', 'tcpchat:eldest', room)
  elseif eldest >= before then
    redis.call('ZADD', 'tcpchat:eldest', eldest, room)
  end
end
return #rooms
