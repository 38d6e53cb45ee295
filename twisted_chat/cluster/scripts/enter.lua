-- Have a node take part that knows what the others know.
-- ARGV: epoch, incarnation, lease in ms.  Gives 1, or 0 if Redis has lost everything meanwhile.
local epoch, node, lease = unpack(ARGV)
if redis.call('GET', 'tcpchat:epoch') ~= epoch then return 0 end
redis.call('HSETNX', 'tcpchat:nodes', node, '0')
redis.call('SET', 'tcpchat:lease:' .. node, '1', 'PX', lease)
return 1
