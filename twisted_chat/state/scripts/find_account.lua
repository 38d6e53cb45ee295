-- Gives the account that shares one of some keys, if there is one.  ARGV: the keys.
for _, key in ipairs(ARGV) do
  local id = redis.call('HGET', 'tcpchat:account_keys', key)
  local account = id and redis.call('HGET', 'tcpchat:accounts', id)
  if account then
    return account
  end
end
return false
