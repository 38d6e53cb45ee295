-- Keeps an account no longer, nor the letters for it.
--
-- ARGV: id; the id of the last event that a letter may be of; for how many seconds this is
-- remembered.
local kept = redis.call('HGET', 'tcpchat:accounts', ARGV[1])
redis.call('SET', 'tcpchat:letters_until:' .. ARGV[1], ARGV[2], 'EX', ARGV[3])
redis.call('UNLINK', 'tcpchat:letters:' .. ARGV[1])
if not kept then
  return 0
end
for _, key in ipairs(cjson.decode(kept)[5]) do
  if redis.call('HGET', 'tcpchat:account_keys', key) == ARGV[1] then
    redis.call('HDEL', 'tcpchat:account_keys', key)
  end
end
return redis.call('HDEL', 'tcpchat:accounts', ARGV[1])
