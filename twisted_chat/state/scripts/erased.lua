-- Takes note that nothing is left of those who were forgotten.
--
-- ARGV: of each identity, and up to which id nothing is left; who was forgotten anew stays.
for i = 1, #ARGV, 2 do
  if redis.call('HGET', 'tcpchat:forgotten', ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', 'tcpchat:forgotten', ARGV[i])
  end
end
return redis.call('HLEN', 'tcpchat:forgotten')
