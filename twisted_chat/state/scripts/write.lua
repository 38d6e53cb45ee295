-- Carries statements out, in order and each once: those up to the checkpoint have been.
--
-- ARGV: token; for how long one is the scribe, in ms; how many lines of a room are kept, letters
-- for an account, and deeds; then of each statement version, count, kind, key, id and value.
-- Gives: whether this node is the scribe; the checkpoint; what went wrong, if anything did.
local checkpoint = redis.call('GET', 'tcpchat:scribed')
if redis.call('GET', 'tcpchat:scribe') ~= ARGV[1] then
  return {0, checkpoint, false}
end
local version, count = -1, 0
if checkpoint then
  local v, c = string.match(checkpoint, '^(%d+) (%d+)$')
  version, count = tonumber(v), tonumber(c)
end
local function is_new(at)
  local v = tonumber(ARGV[at])
  return v > version or (v == version and tonumber(ARGV[at + 1]) > count)
end

local last = #ARGV - 5
if not is_new(last) then
  return {1, checkpoint, false}
end
-- First, for this fails if the server takes nothing at all now; then nothing is done.
checkpoint = ARGV[last] .. ' ' .. ARGV[last + 1]
redis.call('SET', 'tcpchat:scribed', checkpoint)
redis.call('PEXPIRE', 'tcpchat:scribe', ARGV[2])

local most_lines, most_letters, most_deeds = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local wrong = false
local function try(...)
  -- What fails here would fail again: the statements after it are not to wait for it.
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then
    wrong = answer.err
    return nil
  end
  return answer
end

local since = {} -- the time of the first new line of a room
local carry_out = {
  line = function(room, id, value)
    try('ZADD', 'tcpchat:lines:' .. room, id, value)
    since[room] = since[room] or string.match(value, '^%[[^,]*,([^,]*),')
  end,
  keep = function(room, id, value)
    try('HSET', 'tcpchat:rooms', room, value)
  end,
  erase = function(room)
    try('HDEL', 'tcpchat:rooms', room)
    try('UNLINK', 'tcpchat:lines:' .. room)
    try('ZREM', 'tcpchat:eldest', room)
    since[room] = nil
  end,
  forget = function(identity, until_)
    local before = tonumber(try('HGET', 'tcpchat:forgotten', identity) or -1)
    if tonumber(until_) > before then
      try('HSET', 'tcpchat:forgotten', identity, until_)
    end
  end,
  letter = function(account, id, value)
    local letters = 'tcpchat:letters:' .. account
    local dropped = tonumber(try('GET', 'tcpchat:letters_until:' .. account) or -1)
    if tonumber(id) > dropped and try('ZCOUNT', letters, id, id) == 0
        and try('ZCARD', letters) < most_letters then
      try('ZADD', letters, id, value)
    end
  end,
  deed = function(_, id, value)
    if try('ZCOUNT', 'tcpchat:audit', id, id) == 0 then
      try('ZADD', 'tcpchat:audit', id, value)
    end
  end,
  place = function(account, _, value)
    try('HSET', 'tcpchat:places', account, value)
  end,
  unplace = function(account)
    try('HDEL', 'tcpchat:places', account)
  end,
}
for at = 6, #ARGV, 6 do
  local how = carry_out[ARGV[at + 2]]
  if not how then -- it comes from another release
    wrong = 'unknown: ' .. ARGV[at + 2]
  elseif is_new(at) then
    how(ARGV[at + 3], ARGV[at + 4], ARGV[at + 5])
  end
end

-- No more at a time than others can wait for, but more than come.
local function trim(key, most)
  local surplus = (try('ZCARD', key) or 0) - most
  if surplus > 0 then
    try('ZREMRANGEBYRANK', key, 0, math.min(surplus, 1000) - 1)
  end
end
for room, time in pairs(since) do
  try('ZADD', 'tcpchat:eldest', 'NX', time, room)
  trim('tcpchat:lines:' .. room, most_lines)
end
trim('tcpchat:audit', most_deeds)
return {1, checkpoint, wrong}
