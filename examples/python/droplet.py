"""droplet-conn for Python: contexts, and connections that read and write like files."""

import io
from ctypes import CDLL, Structure, byref, c_char, c_char_p, c_int, c_size_t, c_ssize_t, c_uint32, c_uint64
from ctypes import c_void_p, sizeof

lib = CDLL("libdroplet_conn.so.0")
lib.dplx_ctx_new.restype = lib.dplx_connect.restype = c_void_p
lib.dplx_last_error.restype, lib.dplx_conn_read.restype = c_char_p, c_ssize_t
lib.dplx_conn_read.argtypes = lib.dplx_conn_write.argtypes = [c_void_p, c_void_p, c_size_t, c_int]


class Info(Structure):  # dplx_conn_info_t
    _fields_ = [("size", c_size_t), ("host", c_char_p), ("port", c_char_p), ("tls_version", c_char_p)]
    _fields_ += [("tls_cipher", c_char_p), ("bytes_out", c_uint64), ("bytes_in", c_uint64)]
    _fields_ += [("reused", c_uint32), ("tls_resumed", c_uint32), ("peer", c_char * 64)]


class Statistics(Structure):  # the first fields of dplx_pool_stats_t; `size` leaves out the others
    _fields_ = [(name, c_uint64) for name in ["size", "idle", "in_use", "connecting", "created", "reused"]]


def check(good):
    if not good:
        raise OSError(lib.dplx_last_error().decode())
    return good


class Context:
    def __init__(self, profile):
        self.pointer = c_void_p(check(lib.dplx_ctx_new(profile.encode())))

    def statistics(self):
        check(lib.dplx_pool_stats(self.pointer, byref(statistics := Statistics(sizeof(Statistics)))) == 0)
        return statistics

    def __del__(self):
        lib.dplx_ctx_free(getattr(self, "pointer", None))


class Connection(io.RawIOBase):
    pointer = None

    def __init__(self, context):
        self.pointer = c_void_p(check(lib.dplx_connect(context.pointer, 5000)))

    def readable(self):
        return True

    def writable(self):
        return True

    def readinto(self, buffer):
        if (size := memoryview(buffer).nbytes) == 0:
            return 0
        memory = (c_char * size).from_buffer(buffer)
        check((count := lib.dplx_conn_read(self.pointer, memory, size, 5000)) >= 0)
        return count

    def write(self, data):
        data = memoryview(data).tobytes()
        check(not data or lib.dplx_conn_write(self.pointer, data, len(data), 5000) == 0)
        return len(data)

    def makefile(self, _mode):  # for http.client
        return Reply(self)

    def reply_complete(self):
        lib.dplx_conn_reply_complete(self.pointer)

    def info(self):
        check(lib.dplx_conn_info(self.pointer, byref(info := Info(sizeof(Info)))) == 0)
        return info

    def close(self):
        super().close()
        if self.pointer:
            lib.dpl_conn_release(self.pointer)  # pooled only if the reply is complete
        self.pointer = None


class Reply(io.BufferedReader):
    def close(self):  # http.client closes what it read a reply from; the connection goes on
        pass
