-- Tell the others of a node that comes in.  With nobody there, it takes part at once; else only
-- once it knows what the others know, or those who wait for each other would wait for ever.
-- ARGV: an epoch for the case that there is none, incarnation, lease in ms, the last id that the
-- node has seen, how many entries stay.
-- Gives the epoch, the id of the entry that says so, and the other nodes that live.
local new, node, lease, seen, most = unpack(ARGV)
redis.call('SET', 'tcpchat:epoch', new, 'NX')
local others, dead = {}, {}
for _, one in ipairs(redis.call('HKEYS', 'tcpchat:nodes')) do
    if one ~= node then
        local lives = redis.call('EXISTS', 'tcpchat:lease:' .. one) == 1
        table.insert(lives and others or dead, one)
    end
end
-- With nobody there who knows of them they have no one to be reaped from.
if #others == 0 and #dead > 0 then redis.call('HDEL', 'tcpchat:nodes', unpack(dead)) end
if #others == 0 then
    redis.call('HSET', 'tcpchat:nodes', node, '0')
    redis.call('SET', 'tcpchat:lease:' .. node, '1', 'PX', lease)
end

local now = redis.call('TIME')
local time = now[1] .. string.format('%06d', now[2])
local top = redis.call('XREVRANGE', 'tcpchat:events', '+', '-', 'COUNT', 1)
local before = top[1] and tonumber(string.match(top[1][1], '^%d+')) or 0
local id = string.format('%.0f', math.max(before, tonumber(seen), top[1] and 0 or tonumber(time)) + 1)
redis.call('XADD', 'tcpchat:events', 'MAXLEN', '~', most, id .. '-0',
    'i', node, 's', '0', 't', time, 'p', string.format('%.0f', before), 'k', 'hello', 'e', '')
return {redis.call('GET', 'tcpchat:epoch'), id, unpack(others)}
