-- Keeps an account; a new one not if it is taken, or looks like one that is.
--
-- ARGV: id; the record, whose fifth part are the keys of the name; since when there is the account;
-- the id of the last event of the time before a new one; for how many seconds this is remembered;
-- the keys.
-- Gives: the record of the account that stands against it, if one does.
local kept = redis.call('HGET', 'tcpchat:accounts', ARGV[1])
local is_change = kept and cjson.decode(kept)[4] == tonumber(ARGV[3])
if kept and not is_change then
  return kept
end
for i = 6, #ARGV do
  local id = redis.call('HGET', 'tcpchat:account_keys', ARGV[i])
  local other = id and id ~= ARGV[1] and redis.call('HGET', 'tcpchat:accounts', id)
  if other then
    return other
  end
end
redis.call('HSET', 'tcpchat:accounts', ARGV[1], ARGV[2])
for i = 6, #ARGV do
  redis.call('HSET', 'tcpchat:account_keys', ARGV[i], ARGV[1])
end
if not is_change then -- letters are for who had the name before
  redis.call('UNLINK', 'tcpchat:letters:' .. ARGV[1])
  redis.call('SET', 'tcpchat:letters_until:' .. ARGV[1], ARGV[4], 'EX', ARGV[5])
end
return false
