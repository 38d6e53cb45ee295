-- Erases from a part of a room what was said by those who are forgotten.
--
-- ARGV: room; the id after which it begins; how many lines it looks at.
-- Gives: the id of the last of these; nothing if there are no more.
local key = 'tcpchat:lines:' .. ARGV[1]
local lines = redis.call('ZRANGEBYSCORE', key, '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
if #lines == 0 then
  return false
end
local forgotten = {}
for i = 1, #lines, 2 do
  local is_whole, line = pcall(cjson.decode, lines[i])
  if is_whole then
    local person, account = line[3][1], line[3][2]
    local identity = account ~= cjson.null and account ~= '' and account or person
    if forgotten[identity] == nil then
      forgotten[identity] = tonumber(redis.call('HGET', 'tcpchat:forgotten', identity) or -1)
    end
    if line[1] <= forgotten[identity] then
      redis.call('ZREM', key, lines[i])
    end
  end
end
return lines[#lines]
