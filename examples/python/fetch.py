import sys
from ctypes import CDLL, c_char_p, c_size_t, c_ssize_t, c_void_p, create_string_buffer

scheme, hosts = sys.argv[1].rstrip("/").split("://")  # https://a.example,b.example/
lib = CDLL("libdroplet_conn.so.0")
lib.dplx_ctx_new.restype = lib.dplx_connect.restype = c_void_p
lib.dplx_last_error.restype, lib.dplx_reply_read.restype = c_char_p, c_ssize_t


def check(good):
    good or sys.exit(lib.dplx_last_error().decode())


check(ctx := lib.dplx_ctx_new(f"use_https = {scheme == 'https'}\nhost = {hosts}".encode()))
check(connection := lib.dplx_connect(c_void_p(ctx), 5000))
conn, buffer = c_void_p(connection), create_string_buffer(65536)
request = b"GET / HTTP/1.1\r\nHost: " + hosts.split(",")[0].encode() + b"\r\n\r\n"
check(lib.dplx_conn_write(conn, request, c_size_t(len(request)), 5000) == 0)
while (n := lib.dplx_reply_read(conn, buffer, c_size_t(65536), 5000)) > 0:
    sys.stdout.buffer.write(buffer.raw[:n])
check(n == 0)
