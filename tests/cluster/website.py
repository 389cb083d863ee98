"""The site from outside, as a browser sees it: over HTTPS, with its certificate checked."""

import http.client
import json
import socket
import ssl
import time

from kube import Failed

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class Connection(http.client.HTTPSConnection):
    """A connection to a host whose name no name server knows."""

    def __init__(self, host, address, authorities, patience):
        context = ssl.create_default_context(cadata=authorities)
        super().__init__(host, timeout=patience, context=context)
        self.address = address

    def connect(self):
        plain = socket.create_connection(self.address, self.timeout)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Site:
    """`address` is where the ingress controller listens, as (host, port)."""

    def __init__(self, host, address, authorities):
        self.host, self.address, self.authorities = host, address, authorities
        self.user = self.token = None

    def connection(self, patience=15):
        return Connection(self.host, self.address, self.authorities, patience)

    def ask(self, method, path, body=None, agent=BROWSER, expect=None, token=True, headers=None):
        headers = {"user-agent": agent, **(headers or {})}
        if body is not None:
            body, headers["content-type"] = json.dumps(body), "application/json"
        if token and self.token:
            headers["authorization"] = f"Bearer {self.token}"
        connection = self.connection()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        if expect is not None and answer.status != expect:
            raise Failed(f"{method} {path}: {answer.status} instead of {expect}: {answer.body[:300]!r}")
        return answer

    def log_in(self, username):
        self.user = {"username": username, "password": "correct horse battery staple"}
        self.ask("POST", "/auth/users", self.user, expect=201, token=False)
        self.log_in_again()

    def log_in_again(self):
        """A token is good for a quarter of an hour."""
        self.token = self.ask("POST", "/auth/tokens", self.user, expect=200, token=False).json()["access_token"]

    def shorten(self, url, code=None):
        body = {"url": url} | ({"code": code} if code else {})
        return self.ask("POST", "/shortener/links", body, expect=201).json()

    def follow(self, code, headers=None):
        return self.ask("GET", f"/{code}", token=False, headers=headers)

    def clicks(self, code):
        answer = self.ask("GET", f"/analytics/links/{code}")
        if answer.status == 404:
            # It hears of links as the redirectors do, a moment after they were made, and writes them to its disk.
            return 0
        if answer.status != 200:
            raise Failed(f"the clicks of {code}: {answer.status}: {answer.body[:300]!r}")
        return answer.json()["clicks"]

    def referrers(self, code):
        """How often each referrer of a link came. Exact only while nothing is counted."""
        path, cursor, found = f"/analytics/links/{code}/breakdown/referrer?limit=100", "", {}
        while cursor is not None:
            page = self.ask("GET", path + cursor, expect=200).json()
            found |= {item["value"]: item["clicks"] for item in page["items"]}
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        return found

    def wait_for_clicks(self, code, clicks, seconds=60):
        """Exactly so many, not fewer and not more."""
        deadline = time.monotonic() + seconds
        while (counted := self.clicks(code)) < clicks and time.monotonic() < deadline:
            time.sleep(0.2)
        if counted != clicks:
            raise Failed(f"{code}: {clicks} redirects were answered, {counted} counted")

    def events(self, path):
        """The lines of a live stream, as they come, from the moment that it is open."""
        connection = self.connection()
        headers = {"authorization": f"Bearer {self.token}", "accept": "text/event-stream"}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        if response.status != 200:
            raise Failed(f"GET {path}: {response.status}")
        return (line.decode().rstrip("\r\n") for line in response)

    def certificate(self):
        """What the server shows; an error unless it is good for the host."""
        connection = self.connection()
        connection.connect()
        shown = connection.sock.getpeercert()
        connection.close()
        return shown
