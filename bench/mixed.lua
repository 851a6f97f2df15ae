-- wrk script: posts the bodies of a file in turn, and prints what it measured as JSON.
-- wrk -s mixed.lua URL -- PATH BODIES

local bodies, next_body = {}, 0

function init(arguments)
  for line in io.lines(arguments[2]) do
    bodies[#bodies + 1] = wrk.format("POST", arguments[1], {["Content-Type"] = "application/json"}, line)
  end
  math.randomseed(1)
  next_body = math.random(#bodies)
end

function request()
  next_body = next_body % #bodies + 1
  return bodies[next_body]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"seconds": %.6f, "requests": %d, "non_2xx": %d, "failed": %d, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f}\n',
    summary.duration / 1e6, summary.requests, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
