-- Lets a key do something so often in any span of time, wherever in the cluster.
--
-- ARGV: the key, how often, in how many ms.
-- Gives: whether it may be done once more, which then counts.
local key = 'tcpchat:quota:' .. ARGV[1]
local now = redis.call('TIME')
local at = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZREMRANGEBYSCORE', key, '-inf', at - ARGV[3])
if redis.call('ZCARD', key) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZADD', key, at, now[1] .. ' ' .. now[2])
redis.call('PEXPIRE', key, ARGV[3])
return 1
