-- Have nodes take part no more: one that is named, or all whose leases are over.
-- ARGV: the last id that the node has seen, how many entries stay, for how many seconds
-- places are kept; then the node, if one is named.
-- Each goes once, whoever and however many notice it; gives how many there were.
local seen, most, grace, named = unpack(ARGV)
local gone = {}
for _, one in ipairs(redis.call('HKEYS', 'tcpchat:nodes')) do
    local lives = redis.call('EXISTS', 'tcpchat:lease:' .. one) == 1
    if one == named or not (named or lives) then table.insert(gone, one) end
end
if #gone == 0 then return 0 end
local now = redis.call('TIME')
local time = now[1] .. string.format('%06d', now[2])
local top = redis.call('XREVRANGE', 'tcpchat:events', '+', '-', 'COUNT', 1)
local before = top[1] and tonumber(string.match(top[1][1], '^%d+')) or 0
local id = math.max(before, tonumber(seen))
for _, one in ipairs(gone) do
    id = id + 1
    redis.call('HDEL', 'tcpchat:nodes', one)
    redis.call('DEL', 'tcpchat:lease:' .. one)
    redis.call('XADD', 'tcpchat:events', 'MAXLEN', '~', most, string.format('%.0f-0', id),
        'i', one, 's', '0', 't', time, 'p', string.format('%.0f', before), 'k', 'gone', 'e', grace)
    before = id
end
return #gone
