-- Keeps the letters for an account no longer, up to an id; nor those that are yet to be written.
--
-- ARGV: account; the id; for how many seconds this is remembered.
local key = 'tcpchat:letters_until:' .. ARGV[1]
local before = tonumber(redis.call('GET', key) or -1)
if tonumber(ARGV[2]) > before then
  redis.call('SET', key, ARGV[2], 'EX', ARGV[3])
end
return redis.call('ZREMRANGEBYSCORE', 'tcpchat:letters:' .. ARGV[1], '-inf', ARGV[2])
