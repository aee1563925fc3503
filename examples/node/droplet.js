// droplet-conn for Node.js. Calls block. The text of an error belongs to the calling thread.
import koffi from 'koffi'

const lib = koffi.load('libdroplet_conn.so.0')
const Info = koffi.struct('dplx_conn_info_t', {
  size: 'size_t', host: 'str', port: 'str', tls_version: 'str', tls_cipher: 'str',
  bytes_out: 'uint64', bytes_in: 'uint64', reused: 'uint32', tls_resumed: 'uint32', peer: koffi.array('char', 64)
})
// The first fields of dplx_pool_stats_t; `size` leaves out the others.
const Statistics = koffi.struct('dplx_pool_stats_t', {
  size: 'size_t', idle: 'uint64', in_use: 'uint64', connecting: 'uint64', created: 'uint64', reused: 'uint64'
})
const lastError = lib.func('const char *dplx_last_error()')
const ctxNew = lib.func('void *dplx_ctx_new(const char *profile)')
const ctxFree = lib.func('void dplx_ctx_free(void *ctx)')
const poolStats = lib.func('int dplx_pool_stats(void *ctx, _Inout_ dplx_pool_stats_t *stats)')
const connect = lib.func('void *dplx_connect(void *ctx, int ms)')
const replyRead = lib.func('int64_t dplx_reply_read(void *conn, _Out_ uint8_t *buffer, size_t size, int ms)')
const connWrite = lib.func('int dplx_conn_write(void *conn, const void *data, size_t size, int ms)')
const connInfo = lib.func('int dplx_conn_info(void *conn, _Inout_ dplx_conn_info_t *info)')
const connRelease = lib.func('void dpl_conn_release(void *conn)')

function check (good) {
  if (!good) throw new Error(lastError())
}

export class Context {
  constructor (profile) { check(this.pointer = ctxNew(profile)) }
  free () { ctxFree(this.pointer) }

  connect () {
    const pointer = connect(this.pointer, 5000)
    check(pointer)
    return new Connection(pointer)
  }

  statistics () {
    const statistics = { size: koffi.sizeof(Statistics) }
    check(poolStats(this.pointer, statistics) === 0)
    return statistics
  }
}

class Connection {
  constructor (pointer) { this.pointer = pointer }
  release () { connRelease(this.pointer) } // pooled only if the reply was read to its end

  readReply () { // returns some of the body; empty at its end
    const buffer = Buffer.alloc(65536)
    const count = Number(replyRead(this.pointer, buffer, buffer.length, 5000))
    check(count >= 0)
    return buffer.subarray(0, count)
  }

  write (text) {
    const bytes = Buffer.from(text)
    check(connWrite(this.pointer, bytes, bytes.length, 5000) === 0)
  }

  info () {
    const info = { size: koffi.sizeof(Info) }
    check(connInfo(this.pointer, info) === 0)
    return info
  }
}
