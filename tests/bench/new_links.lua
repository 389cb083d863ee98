-- Makes links with URLs of 60 bytes. The argument is an access token.
function init(arguments)
  wrk.headers["Authorization"] = "Bearer " .. arguments[1]
  wrk.headers["Content-Type"] = "application/json"
  math.randomseed(os.time())
end

function request()
  local number = math.random(0, 999999999)
  local url = string.format("https://example.org/a/path/of/some/length/to/page/%010d", number)
  return wrk.format("POST", "/shortener/links", nil, '{"url":"' .. url .. '"}')
end
