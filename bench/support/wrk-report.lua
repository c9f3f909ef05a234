-- What wrk counted, as one line of JSON.
done = function(summary)
  local e = summary.errors
  io.write(string.format('{"us":%d,"requests":%d,"bytes":%d,"errors":%d}\n', summary.duration,
    summary.requests, summary.bytes, e.connect + e.read + e.write + e.status + e.timeout))
end
