-- Append events of a node to the stream, each once, and renew the lease of the node.
-- ARGV: epoch, incarnation, lease in ms, the last id that the node has seen, how many entries
-- stay; then for each event its number, its kind, and its text.
-- Gives a word and, if that is "ok", the number of the last event that was accepted, and the id
-- of the newest entry.
local epoch, node, lease, seen, most = unpack(ARGV, 1, 5)
if redis.call('GET', 'tcpchat:epoch') ~= epoch then return {'emptied'} end
local accepted = redis.call('HGET', 'tcpchat:nodes', node)
if not accepted then return {'fenced'} end
redis.call('SET', 'tcpchat:lease:' .. node, '1', 'PX', lease)
accepted = tonumber(accepted)

local top = redis.call('XREVRANGE', 'tcpchat:events', '+', '-', 'COUNT', 1)
local before = top[1] and tonumber(string.match(top[1][1], '^%d+')) or 0
if #ARGV == 5 then return {'ok', accepted, before} end
local id = math.max(before, tonumber(seen))
local now = redis.call('TIME')
local time = now[1] .. string.format('%06d', now[2])
for at = 6, #ARGV, 3 do
    local number = tonumber(ARGV[at])
    if number > accepted then
        accepted, id = number, id + 1
        redis.call('XADD', 'tcpchat:events', 'MAXLEN', '~', most, string.format('%.0f-0', id),
            'i', node, 's', ARGV[at], 't', time, 'p', string.format('%.0f', before),
            'k', ARGV[at + 1], 'e', ARGV[at + 2])
        before = id
    end
end
redis.call('HSET', 'tcpchat:nodes', node, string.format('%.0f', accepted))
return {'ok', accepted, before}
