"""Asks two hosts of which one is dead: example.py DEAD:PORT,ALIVE:PORT [https]"""

import sys
from http.client import HTTPResponse

from droplet import Connection, Context


def get(context):
    with Connection(context) as connection:
        connection.write(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n")
        response = HTTPResponse(connection)
        response.begin()
        body = response.read().decode().strip()
        connection.reply_complete()
        info = connection.info()
        print(f"{body} from {info.peer.decode()}, reused {info.reused} times")


hosts, https = sys.argv[1], len(sys.argv) > 2
context = Context(f"use_https = {https}\nhost = {hosts}")
get(context)
get(context)
now = context.statistics()
print(f"created {now.created}, reused {now.reused}, idle {now.idle}")
try:
    get(Context(f"use_https = {https}\nhost = {hosts.split(',')[0]}"))
except OSError as error:
    print(f"error: {error}")
