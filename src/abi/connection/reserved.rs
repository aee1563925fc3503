//! The making of a connection: first its memory, then the connection over an open stream.

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::Arc;

use libc::{c_char, c_int};

use super::reader_traces::UNTOUCHED;
use super::{CONNECTIONS, Connection, ConnectionMemory, Reply};
use crate::abi::context_view::{ContextId, View};
use crate::abi::layout::{ConnectionHead, ContextHead, HashInfo};
use crate::abi::memory::{Block, duplicate};
use crate::abi::slab::Vacant;
use droplet_client::checkout::endpoint::Endpoint;
use droplet_client::checkout::open_connection::OpenConnection;
use droplet_client::http::request::WrittenRequest;
use droplet_client::net::stream::{File, Socket, Stream};
use droplet_client::os::sys;
use droplet_client::pool::metrics::Metrics;
use droplet_client::status::{Error, SUCCESS};

const TYPE_HTTP: c_int = 0;
const TYPE_FILE: c_int = 1;

/// All memory that a connection needs. It is allocated before the stream is opened or taken over, so that no open
/// stream is lost because memory runs out.
pub struct Reserved {
    body: Vacant<ConnectionMemory>,
    read_buf: Block<c_char>,
    read_buf_size: usize,
    /// Host and port of a network connection. C may free and replace each.
    names: Option<[Block<c_char>; 2]>,
    context: *mut ContextHead,
    context_id: ContextId,
}

impl Reserved {
    fn new(
        context: &View,
        context_id: ContextId,
        names: Option<[Block<c_char>; 2]>,
    ) -> Result<Reserved, Error> {
        // A program may have set 0, with which nothing could be read.
        let read_buf_size = context.read_buffer_size().max(1);
        let read_buf = Block::<c_char>::of_size(read_buf_size)?;
        // SAFETY: the block has room for a byte, and nobody else has it.
        unsafe { *read_buf.as_ptr() = UNTOUCHED };
        let context = context.pointer_to_context();
        Ok(Reserved { body: CONNECTIONS.reserve()?, read_buf, read_buf_size, names, context, context_id })
    }

    /// Allocates the memory of a connection to a file.
    pub fn over_file(context: &View, id: ContextId) -> Result<Reserved, Error> {
        Reserved::new(context, id, None)
    }

    /// Allocates the memory of a connection to this endpoint.
    pub fn over_network(context: &View, id: ContextId, endpoint: &Endpoint) -> Result<Reserved, Error> {
        let names = [duplicate(endpoint.name())?, duplicate(endpoint.port())?];
        Reserved::new(context, id, Some(names))
    }

    /// Makes the connection over an open stream to the endpoint.
    pub fn connection(
        self,
        mut stream: Stream,
        endpoint: &Arc<Endpoint>,
        metrics: Arc<Metrics>,
    ) -> Connection {
        let peer = stream.socket().map(Socket::peer);
        let tls = stream.tls().map(|tls| tls.raw());
        let mut connection =
            self.fill(TYPE_HTTP, OpenConnection::new(stream, Some(Arc::clone(endpoint)), metrics));
        let memory = &mut *connection.0;
        memory.head.hash_info = peer.map_or(NO_PEER, hash_info);
        if let Some((ssl, bio)) = tls {
            (memory.head.ssl, memory.head.bio, memory.has_ssl) = (ssl, bio, true);
        }
        connection
    }

    /// Makes the connection to a local file.
    pub fn connection_to_file(self, file: File, metrics: Arc<Metrics>) -> Connection {
        self.fill(TYPE_FILE, OpenConnection::new(Stream::File(file), None, metrics))
    }

    fn fill(self, r#type: c_int, open: OpenConnection) -> Connection {
        let Reserved { body, read_buf, read_buf_size, names, context, context_id } = self;
        let names = names.map_or([ptr::null_mut(); 2], |names| names.map(Block::into_raw));
        let fd = open.stream.as_raw_fd();
        let head = ConnectionHead {
            r#type,
            ctx: context.cast(),
            next: ptr::null_mut(),
            prev: ptr::null_mut(),
            hash_info: NO_PEER,
            host: names[0],
            port: names[1],
            fd,
            start_time: sys::wall_clock_seconds(),
            close_time: 0,
            n_hits: 0,
            read_buf_size,
            read_buf: read_buf.into_raw(),
            read_buf_pos: 0,
            block_size: 0,
            max_blocks: 0,
            cc: 0,
            status: SUCCESS,
            eof: 0,
            ssl: ptr::null_mut(),
            bio: ptr::null_mut(),
        };
        Connection(body.fill(ConnectionMemory {
            head,
            open,
            context: context_id,
            fd,
            has_ssl: false,
            is_replaced: false,
            request: WrittenRequest::default(),
            reply: Reply::Unread,
            extras: None,
        }))
    }
}

const NO_PEER: HashInfo = HashInfo { addr: [0; 4], port: 0 };

fn hash_info(peer: SocketAddr) -> HashInfo {
    let mut octets = [0; 16];
    match peer.ip() {
        IpAddr::V4(ip) => octets[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => octets = ip.octets(),
    }
    // SAFETY: both are 16 bytes without padding, and any bytes are valid.
    let addr = unsafe { mem::transmute::<[u8; 16], [u32; 4]>(octets) };
    HashInfo { addr, port: peer.port() }
}
