-- Looks who the scribe is, and becomes it if there is none and it may.
--
-- ARGV: token; for how long one is the scribe, in ms; the version since which this node knows
-- everything, empty if it may not become the scribe; 1 if it may whatever is written; the version
-- and the count up to which nothing is left to write, empty if something is.
-- Gives: whether this node is the scribe; whether there was none; the checkpoint as it was, and
-- as it is; how many are forgotten whose lines are still there.
local holder = redis.call('GET', 'tcpchat:scribe')
local before = redis.call('GET', 'tcpchat:scribed')
local version, count = -1, 0
if before then
  local v, c = string.match(before, '^(%d+) (%d+)$')
  version, count = tonumber(v), tonumber(c)
end

local vacant = not holder
if vacant and ARGV[3] ~= '' then
  if version >= tonumber(ARGV[3]) or ARGV[4] == '1' then
    holder = ARGV[1]
    redis.call('SET', 'tcpchat:scribe', holder, 'PX', ARGV[2])
  end
elseif holder == ARGV[1] then
  redis.call('PEXPIRE', 'tcpchat:scribe', ARGV[2])
end

local now = before
if holder == ARGV[1] and ARGV[5] ~= '' then
  local v, c = tonumber(ARGV[5]), tonumber(ARGV[6])
  if v > version or (v == version and c > count) then
    now = ARGV[5] .. ' ' .. ARGV[6]
    redis.call('SET', 'tcpchat:scribed', now)
  end
end
return {
  holder == ARGV[1] and 1 or 0, vacant and 1 or 0, before, now,
  redis.call('HLEN', 'tcpchat:forgotten'),
}
