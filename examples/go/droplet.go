package main

// #cgo LDFLAGS: -ldroplet_conn
// #include <stdlib.h>
// #include <droplet_conn.h>
import "C"

import (
	"errors"
	"io"
	"runtime"
	"unsafe"
)

// The text of an error belongs to the thread, and a goroutine may change threads between two calls.
func call(f func() bool) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if f() {
		return nil
	}
	return errors.New(C.GoString(C.dplx_last_error()))
}

type Context struct{ c *C.dpl_ctx_t }

func NewContext(profile string) (context Context, err error) {
	text := C.CString(profile)
	defer C.free(unsafe.Pointer(text))
	err = call(func() bool { context.c = C.dplx_ctx_new(text); return context.c != nil })
	return
}

func (context Context) Close() { C.dplx_ctx_free(context.c) }

func (context Context) Statistics() (stats C.dplx_pool_stats_t) {
	stats.size = C.sizeof_dplx_pool_stats_t
	C.dplx_pool_stats(context.c, &stats)
	return
}

func (context Context) Connect() (conn Conn, err error) {
	err = call(func() bool { conn.c = C.dplx_connect(context.c, 5000); return conn.c != nil })
	return
}

type Conn struct{ c *C.dpl_conn_t }

func (conn Conn) Read(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	err = call(func() bool {
		n = int(C.dplx_conn_read(conn.c, unsafe.Pointer(&b[0]), C.size_t(len(b)), 5000))
		return n >= 0
	})
	if err != nil {
		return 0, err
	} else if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (conn Conn) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	err := call(func() bool {
		return C.dplx_conn_write(conn.c, unsafe.Pointer(&b[0]), C.size_t(len(b)), 5000) == 0
	})
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

func (conn Conn) ReplyComplete() { C.dplx_conn_reply_complete(conn.c) }

// Gives the connection back. It is pooled if the reply is complete.
func (conn Conn) Release() { C.dpl_conn_release(conn.c) }

func (conn Conn) Info() (peer string, reused int) {
	info := C.dplx_conn_info_t{size: C.sizeof_dplx_conn_info_t}
	C.dplx_conn_info(conn.c, &info)
	return C.GoString(&info.peer[0]), int(info.reused)
}
