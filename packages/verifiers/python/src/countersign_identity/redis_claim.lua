-- Claims a nonce in one round trip. KEYS: nonce, since, run. ARGV: this claim, created, life in ms.
-- A nonce holds the claim that took it, so a command that the client sends twice claims once. If Redis was restarted or
-- lost its data, older nonces may be gone: the memory begins again at the next second.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local since = redis.call('GET', KEYS[2])
if not since or redis.call('GET', KEYS[3]) ~= run then
  since = redis.call('TIME')[1] + 1
  redis.call('SET', KEYS[2], since)
  redis.call('SET', KEYS[3], run)
end
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[3]) and redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 'replayed'
end
if tonumber(ARGV[2]) < tonumber(since) then return 'before_start' end
return 'fresh'
