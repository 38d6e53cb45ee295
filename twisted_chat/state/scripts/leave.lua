-- Is the scribe no longer.  ARGV: token.
if redis.call('GET', 'tcpchat:scribe') == ARGV[1] then
  return redis.call('DEL', 'tcpchat:scribe')
end
return 0
