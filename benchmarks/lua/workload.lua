-- One workload against one server, for wrk with one thread. The environment says which (benchmarks/load.py):
--   BENCH_MODE         refresh | exchange | me | authorize | round_trip
--   BENCH_ITEMS        a file with one refresh token, code, access token or cookie a line
--   BENCH_ONCE         each item is used once, and the run ends when there are no more
--   BENCH_AUTHORIZE    path and query of the authorization request
--   BENCH_TOKEN        path of the token endpoint
--   BENCH_FORM         client_id=...&client_secret=...&redirect_uri=...
--   BENCH_ME           path of the protected resource
--   BENCH_KEEP_CODES, BENCH_KEEP_REFRESH, BENCH_KEEP_ACCESS   files that get what the answers bring

local ffi = require("ffi")
ffi.cdef [[
typedef struct { long seconds; long nanoseconds; } grantflow_time;
int clock_gettime(int clock, grantflow_time *now);
]]
local moment = ffi.new("grantflow_time")

local function clock()
   ffi.C.clock_gettime(1, moment)  -- CLOCK_MONOTONIC
   return tonumber(moment.seconds) + tonumber(moment.nanoseconds) / 1e9
end

-- What done() asks of the thread: it runs in a Lua state of its own.
answered, wanted, wrong, distinct, first, last, refused = 0, 0, 0, 0, 0, 0, ""

local mode, once = os.getenv("BENCH_MODE"), os.getenv("BENCH_ONCE")
local token_path, form, me_path = os.getenv("BENCH_TOKEN"), os.getenv("BENCH_FORM"), os.getenv("BENCH_ME")
local authorize_path = os.getenv("BENCH_AUTHORIZE")
local items, position, codes, seen = {}, 0, {}, {}
local posted = { ["Content-Type"] = "application/x-www-form-urlencoded" }

local function kept(variable)
   local file = os.getenv(variable) and io.open(os.getenv(variable), "a")
   if file then file:setvbuf("line") end
   return file
end
local keep = { code = kept("BENCH_KEEP_CODES"), refresh = kept("BENCH_KEEP_REFRESH"), access = kept("BENCH_KEEP_ACCESS") }

local threads = {}
function setup(thread) table.insert(threads, thread) end

function init()
   for line in io.lines(os.getenv("BENCH_ITEMS")) do table.insert(items, line) end
   first = clock()
end

local function next_item()
   if position == #items and once then
      wrk.thread:stop()
      return "used-up"  -- a code that came twice would end the grant
   end
   position = position % #items + 1
   return items[position]
end

local function post(grant)
   return wrk.format("POST", token_path, posted, form .. "&grant_type=" .. grant)
end

local function exchange(code) return post("authorization_code&code=" .. code) end

local function authorize() return wrk.format("GET", authorize_path, { ["Cookie"] = next_item() }) end

local requests = {
   refresh = function() return post("refresh_token&refresh_token=" .. next_item()) end,
   exchange = function() return exchange(next_item()) end,
   me = function() return wrk.format("GET", me_path, { ["Authorization"] = "Bearer " .. next_item() }) end,
   authorize = authorize,
   round_trip = function()
      local code = table.remove(codes)
      return code and exchange(code) or authorize()
   end,
}
request = requests[mode]

local function text_in(body, name) return string.match(body, '"' .. name .. '"%s*:%s*"([^"]+)"') end

local function take_code(headers)
   local code = string.match(headers["location"] or headers["Location"] or "", "[?&]code=([^&#]+)")
   if not code then return false end
   if keep.code then keep.code:write(code, "\n") end
   if mode == "round_trip" then table.insert(codes, code) end
   return true
end

local function take_tokens(body)
   local access, refresh = text_in(body, "access_token"), text_in(body, "refresh_token")
   if not access then return false end
   if keep.access then keep.access:write(access, "\n") end
   if keep.refresh then keep.refresh:write(refresh, "\n") end
   if not seen[access] then
      seen[access] = true
      distinct = distinct + 1
   end
   return true
end

function response(status, headers, body)
   last = clock()
   answered = answered + 1
   local good = false
   if status == 302 or status == 303 then
      good = take_code(headers)
      if good and mode == "authorize" then wanted = wanted + 1 end
   elseif status == 200 and mode == "me" then
      good, wanted = true, wanted + 1
   elseif status == 200 then
      good = take_tokens(body)
      if good then wanted = wanted + 1 end
   end
   if not good then
      wrong = wrong + 1
      if refused == "" then refused = status .. " " .. string.sub(body, 1, 200) end
   end
end

function done(summary, latency)
   local thread = threads[1]
   local function quoted(text) return '"' .. string.gsub(text, '[%c"\\]', " ") .. '"' end
   io.write(string.format(
      'RESULT {"requests": %d, "done": %d, "wrong": %d, "distinct": %d, "seconds": %.6f, "first_wrong": %s, ' ..
      '"p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f, "socket_errors": %d}\n',
      thread:get("answered"), thread:get("wanted"), thread:get("wrong"), thread:get("distinct"),
      thread:get("last") - thread:get("first"), quoted(thread:get("refused")),
      latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000,
      summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
