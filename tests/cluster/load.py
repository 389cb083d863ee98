"""Visitors who go on following links while something happens."""

import http.client
import threading
import time
from typing import NamedTuple


class Request(NamedTuple):
    number: int
    code: str
    began: float
    # None if the redirect came; else what came in its place
    fault: str | None

    @property
    def referrer(self):
        """By which it can be looked up in the statistics: no other request has it."""
        return referrer(self.number)


def referrer(number):
    return f"r{number}.load.test"


class Load:
    """A few visitors at a bounded rate; used as a context manager. Remembers what became of each request."""

    def __init__(self, site, codes, per_second=200, visitors=4, patience=15):
        self.site, self.codes, self.visitors, self.patience = site, codes, visitors, patience
        self.pause = visitors / per_second
        self.requests, self.answered = [], {code: 0 for code in codes}
        self.lock, self.ended = threading.Lock(), threading.Event()

    def __enter__(self):
        self.threads = [threading.Thread(target=self.visit, args=(n,)) for n in range(self.visitors)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def total(self):
        return sum(self.answered.values())

    @property
    def failures(self):
        with self.lock:
            failed = [request for request in self.requests if request.fault]
        return [f"{time.strftime('%H:%M:%S', time.localtime(one.began))} {one.code}: {one.fault}" for one in failed]

    def visit(self, number):
        connection = None
        while not self.ended.wait(self.pause):
            code, began, fault = self.codes[number % len(self.codes)], time.time(), None
            try:
                connection = connection or self.site.connection(self.patience)
                headers = {"user-agent": "Mozilla/5.0 Firefox/140.0", "referer": f"https://{referrer(number)}/"}
                connection.request("GET", f"/{code}", headers=headers)
                response = connection.getresponse()
                response.read()
                if response.status != 302:
                    fault = f"status {response.status}"
            except (OSError, http.client.HTTPException) as error:
                connection, fault = connection and connection.close(), repr(error)
            with self.lock:
                self.requests.append(Request(number, code, began, fault))
                self.answered[code] += fault is None
            # Theirs alone: each visitor takes every so manieth number.
            number += self.visitors
