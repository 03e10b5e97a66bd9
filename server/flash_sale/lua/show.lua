-- Shows the gate what a commit changed. Refuses, so that the gate is rebuilt, unless it stands exactly where the
-- writer believes it to stand.
-- KEYS: the sale's hash; its fields are in check.lua.
-- ARGV: epoch, version it must have, new version, open (0/1), available, limit, number of buyers, then two a buyer
--       (id, units), then the new key digests.
-- Returns 1, or 0 when the gate has another epoch or version.
local have = redis.call('HMGET', KEYS[1], 'epoch', 'version')
if have[1] ~= ARGV[1] or have[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[3], 'open', ARGV[4], 'available', ARGV[5], 'limit', ARGV[6])
local buyers = tonumber(ARGV[7])
for i = 8, 7 + 2 * buyers, 2 do
  local field = 'b' .. ARGV[i]
  if ARGV[i + 1] == '0' then redis.call('HDEL', KEYS[1], field) else redis.call('HSET', KEYS[1], field, ARGV[i + 1]) end
end
for i = 8 + 2 * buyers, #ARGV do redis.call('HSET', KEYS[1], 'k' .. ARGV[i], '') end
return 1
