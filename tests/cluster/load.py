"""Visitors who go on following links while something happens."""

import http.client
import threading
import time


class Load:
    """A few visitors at a bounded rate; used as a context manager. Counts what was answered, and what was not."""

    def __init__(self, site, codes, per_second=200, visitors=4):
        self.site, self.codes, self.visitors = site, codes, visitors
        self.pause = visitors / per_second
        self.answered, self.failures = {code: 0 for code in codes}, []
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

    def visit(self, number):
        connection, turn = None, number
        while not self.ended.wait(self.pause):
            code = self.codes[turn % len(self.codes)]
            turn += 1
            try:
                connection = connection or self.site.connection()
                connection.request("GET", f"/{code}", headers={"user-agent": "Mozilla/5.0 Firefox/140.0"})
                response = connection.getresponse()
                response.read()
                if response.status != 302:
                    raise OSError(f"status {response.status}")
                with self.lock:
                    self.answered[code] += 1
            except (OSError, http.client.HTTPException) as error:
                connection = connection and connection.close()
                with self.lock:
                    self.failures.append(f"{time.strftime('%H:%M:%S')} {code}: {error!r}")
