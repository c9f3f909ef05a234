// What Redis does in one step each. A key's lease and its last outcome share a hash tag, so that a cluster has both in one
// place.

/**
 * KEYS: lease, outcome. ARGV: owner, lease ms, scope, 1 for who has waited, remaining ms of an outcome that is news to others,
 * address of the replica or ''. Replies {'told', outcome}, {'held', ms left, value}, or {'granted', value, 1 where an outcome
 * was told before}. The value is owner, fencing token, which grows with time, and address.
 */
const ACQUIRE = `
local told = redis.call('GET', KEYS[2])
if told then
  local ended = cjson.decode(told)
  local news = ARGV[4] == '1' or redis.call('PTTL', KEYS[2]) > tonumber(ARGV[5])
  if news and ended.outcome.kind == 'failed' and ended.scope == ARGV[3] then return {'told', told} end
end
if redis.call('EXISTS', KEYS[1]) == 1 then return {'held', redis.call('PTTL', KEYS[1]), redis.call('GET', KEYS[1])} end
local time = redis.call('TIME')
local value = ARGV[1] .. ' ' .. string.format('%.0f', time[1] * 1000000 + time[2]) .. ' ' .. ARGV[6]
redis.call('SET', KEYS[1], value, 'PX', ARGV[2])
redis.call('DEL', KEYS[2])
return {'granted', value, told and 1 or 0}`;

/** KEYS: lease, outcome. ARGV: value, lease ms. Replies 1, or 0 when somebody else has it, or had it meanwhile. */
const RENEW = `
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
if not held and redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

/** KEYS: lease, outcome. ARGV: value, outcome or '', ms to keep it, channel, message. Replies 1, or 0 when it was lost. */
const RELEASE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1`;

/** A bucket is the time at which it will be full again, milliseconds; gone when it is. Times as text, as replies have whole numbers alone. */
const BUCKET = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local full = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0'))
local interval = tonumber(ARGV[1])
local function keep()
  if full > now then redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.ceil(full - now)) end
end`;

/** KEYS: bucket. ARGV: ms between tokens, tokens, longest wait in ms. Replies ms to wait, and until it is full. */
const TAKE_TOKEN = `${BUCKET}
local wait = math.max(0, full - (ARGV[2] - 1) * interval - now)
if wait <= tonumber(ARGV[3]) then
  full = full + interval
  keep()
end
return {string.format('%.3f', wait), string.format('%.3f', full - now)}`;

/** KEYS: bucket. ARGV: ms between tokens. */
const GIVE_TOKEN = `${BUCKET}
full = full - interval
if full > now then keep() else redis.call('DEL', KEYS[1]) end
return 1`;

/** KEYS: bucket. ARGV: ms between tokens, tokens, ms until the next one. */
const DRAIN_TOKENS = `${BUCKET}
full = math.max(full, now + math.max(tonumber(ARGV[3]), interval) + (ARGV[2] - 1) * interval)
keep()
return 1`;

/** KEYS: channel, so that a cluster has a node for it. ARGV: message. */
const ANNOUNCE = `return redis.call('PUBLISH', KEYS[1], ARGV[1])`;

/** KEYS: any. Succeeds where Redis takes writes. */
const PROBE = `return redis.call('SET', KEYS[1], '1', 'PX', 1000)`;

/** By name, with the number of their keys, as ioredis takes them. */
export const SCRIPTS = {
  larderAcquire: { lua: ACQUIRE, numberOfKeys: 2 },
  larderRenew: { lua: RENEW, numberOfKeys: 2 },
  larderRelease: { lua: RELEASE, numberOfKeys: 2 },
  larderAnnounce: { lua: ANNOUNCE, numberOfKeys: 1 },
  larderTakeToken: { lua: TAKE_TOKEN, numberOfKeys: 1 },
  larderGiveToken: { lua: GIVE_TOKEN, numberOfKeys: 1 },
  larderDrainTokens: { lua: DRAIN_TOKENS, numberOfKeys: 1 },
  larderProbe: { lua: PROBE, numberOfKeys: 1 },
} as const;
