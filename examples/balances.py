"""Follows balances over the WebSocket: whole rows, gap-free, resuming after a drop.

pip install websockets; GATEWAY_TOKEN=… python balances.py
"""

import asyncio
import json
import os
import random
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

URL = os.environ.get("GATEWAY_URL", "ws://127.0.0.1:8080/v1/ws")
TOKEN = os.environ["GATEWAY_TOKEN"]
CHANNEL = "user:balances"


class Balances:
    def __init__(self):
        self.rows = {}  # the state: key -> row
        self.since = None  # our place in the history: {"epoch", "gsn"}
        self.parts = []  # of a snapshot under way

    def put(self, row):
        names = [row[name] for name in ("venue", "account", "wallet", "asset")]
        self.rows[tuple(names)] = row
        # None is "the venue has not said", which is not zero. Amounts are texts: decimal.Decimal(row["total"]) is exact.
        numbers = [row[name] or "-" for name in ("total", "available", "locked")]
        print(*names, *numbers, row["state"], flush=True)

    def apply(self, frame):
        """Takes a frame in. Returns the request to send, if any."""
        if frame["type"] == "snapshot":
            self.parts = self.parts + [frame] if frame.get("part", 1) > 1 else [frame]
            if len(self.parts) < frame.get("parts", 1):
                return None
            self.rows.clear()
            rows = [row for part in self.parts for row in part["balances"]]
        elif frame["type"] == "update" and self.since:  # without: a snapshot is on its way
            if frame["prev"] != self.since["gsn"]:
                self.since = None
                return {"type": "resync", "channel": CHANNEL}
            rows = frame["balances"]
        else:
            return None
        for row in rows:
            self.put(row)
        self.since = {"epoch": frame["epoch"], "gsn": frame["gsn"]}
        return None


async def converse(socket, balances):
    subscribe = {"type": "subscribe", "channel": CHANNEL, "since": balances.since}
    for request in ({"type": "auth_token", "token": TOKEN}, subscribe):
        await socket.send(json.dumps(request))
    silence = 10.0  # seconds that mean death
    while True:
        frame = json.loads(await asyncio.wait_for(socket.recv(), silence))
        if frame["type"] == "auth_result":
            if not frame["success"]:
                print("refused:", frame["error"]["message"], file=sys.stderr, flush=True)
            silence = 2 * frame.get("heartbeat_ms", 5000) / 1000
        elif frame["type"] == "subscribed":
            print("resumed" if frame["resumed"] else "from the start", file=sys.stderr, flush=True)
        elif frame["type"] == "error":
            print(frame["code"], frame["message"], file=sys.stderr, flush=True)
        request = balances.apply(frame)
        if request:
            await socket.send(json.dumps(request))


async def main():
    balances, wait = Balances(), 0.25
    while True:
        code = None
        try:
            async with connect(URL, subprotocols=["balances.v1"], open_timeout=10, max_size=2**20) as socket:
                wait = 0.25
                await converse(socket, balances)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else None
        except (OSError, TimeoutError, asyncio.TimeoutError) as error:
            code = type(error).__name__
        print("disconnected: no row is live now", code, file=sys.stderr, flush=True)
        balances.parts = []
        if isinstance(code, int) and 4000 <= code < 4200:
            sys.exit(1)  # 40xx: stop. 41xx: get a new token first.
        await asyncio.sleep(wait * random.uniform(0.5, 1))
        wait = min(wait * 2, 10)


asyncio.run(main())
