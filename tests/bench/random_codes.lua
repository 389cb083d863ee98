-- Asks for codes at random, as a browser would. The argument is how many links there are.
local agents = {
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}
local links, tails, random = 0, {}, math.random

function init(arguments)
  links = tonumber(arguments[1])
  math.randomseed(os.time())
  for number = 1, 4096 do
    local headers = {
      ["User-Agent"] = agents[number % #agents + 1],
      ["Accept-Language"] = "de-AT,de;q=0.9,en;q=0.8",
      ["Referer"] = "https://news.example.org/item?id=" .. number,
    }
    -- All but the code is made once: what wrk takes, the servers do not get.
    tails[number] = wrk.format("GET", "/", headers):match("^GET /(.*)$")
  end
end

local turn = 0
function request()
  turn = turn % 4096 + 1
  return "GET /c" .. random(0, links - 1) .. tails[turn]
end
