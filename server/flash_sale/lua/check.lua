-- Turns away holds that cannot succeed. Reads what the writer last showed; takes nothing itself.
-- KEYS: the hash of each sale (fields: version, open, available, limit, epoch, b<buyer>: units, k<key digest>);
--       then, with a rate, one rate key an entry.
-- ARGV: number of sales, now (ms), rate interval (ms a request; 0: no limit), burst (ms),
--       then four an entry: index of the sale, buyer, quantity, key digest.
-- Returns the version of each sale (-1: unknown), then two an entry: verdict and retry after (ms).
-- Verdicts: 0 pass, 1 not open, 2 limit reached, 3 sold out, 4 rate limited.
-- Rate: generic cell rate algorithm (ITU-T I.371), with the caller's clock.
local sales = tonumber(ARGV[1])
local now, interval, burst = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local out, state = {}, {}
for i = 1, sales do
  local s = redis.call('HMGET', KEYS[i], 'version', 'open', 'available', 'limit')
  if s[1] then
    state[i] = { open = s[2] == '1', available = tonumber(s[3]), limit = tonumber(s[4]) }
    out[i] = tonumber(s[1])
  else
    out[i] = -1
  end
end
local rate_key = sales
for a = 5, #ARGV, 4 do
  rate_key = rate_key + 1
  local verdict, retry = 0, 0
  if interval > 0 then
    local key = KEYS[rate_key]
    local arrival = math.max(tonumber(redis.call('GET', key) or now), now)
    if arrival - now > burst then
      verdict, retry = 4, arrival - now - burst
    else
      redis.call('SET', key, arrival + interval, 'PX', math.ceil(arrival + interval - now) + 1000)
    end
  end
  local i = tonumber(ARGV[a])
  local s = state[i]
  if verdict == 0 and s then
    local quantity = tonumber(ARGV[a + 2])
    local short = 0
    if not s.open then
      short = 1
    elseif tonumber(redis.call('HGET', KEYS[i], 'b' .. ARGV[a + 1]) or 0) + quantity > s.limit then
      short = 2
    elseif quantity > s.available then
      short = 3
    end
    -- A repeat of a granted hold must reach the writer, which has its answer.
    if short > 0 and redis.call('HEXISTS', KEYS[i], 'k' .. ARGV[a + 3]) == 0 then verdict = short end
  end
  out[#out + 1] = verdict
  out[#out + 1] = retry
end
return out
