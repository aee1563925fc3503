//! The making of a connection: first its memory, then, of an open stream, itself.

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::Arc;

use libc::{c_char, c_int};

use super::{CONNECTIONS, Connection, ConnectionMemory, UNTOUCHED};
use crate::abi::context::{Context, ContextId};
use crate::abi::layout::{ConnectionHead, HashInfo};
use crate::abi::memory::{Block, duplicate};
use crate::abi::slab::Vacant;
use droplet_client::checkout::endpoint::Endpoint;
use droplet_client::net::stream::{File, Socket, Stream};
use droplet_client::os::fork;
use droplet_client::os::shards::ShardNumber;
use droplet_client::os::sys;
use droplet_client::pool::metrics::CloseReason;
use droplet_client::status::{Error, SUCCESS};

const TYPE_HTTP: c_int = 0;
const TYPE_FILE: c_int = 1;

/// All the memory that a connection takes, had before it is opened: one that was opened is not lost for want
/// of memory.
pub struct Reserved {
    body: Vacant<ConnectionMemory>,
    read_buf: Block<c_char>,
    read_buf_size: usize,
    /// Host and port, of a network connection. C may free and replace each.
    names: Option<[Block<c_char>; 2]>,
    context: ContextId,
}

impl Reserved {
    fn new(context: &Context, names: Option<[Block<c_char>; 2]>) -> Result<Reserved, Error> {
        let read_buf_size = context.view().read_buffer_size();
        let read_buf = Block::<c_char>::of_size(read_buf_size)?;
        // SAFETY: the block has room for a byte, and nobody else has it.
        unsafe { *read_buf.as_ptr() = UNTOUCHED };
        let context = context.id().ok_or(Error::Invalid)?;
        Ok(Reserved { body: CONNECTIONS.reserve()?, read_buf, read_buf_size, names, context })
    }

    /// For a connection to a file.
    pub fn over_file(context: &Context) -> Result<Reserved, Error> {
        Reserved::new(context, None)
    }

    /// For a connection by way of this endpoint.
    pub fn over_network(context: &Context, endpoint: &Endpoint) -> Result<Reserved, Error> {
        let names = [duplicate(endpoint.name())?, duplicate(endpoint.port())?];
        Reserved::new(context, Some(names))
    }

    /// The connection over an open stream.
    pub fn connection(self, context: &Context, mut stream: Stream, endpoint: &Arc<Endpoint>) -> Connection {
        let peer = stream.socket().map(Socket::peer);
        let tls = stream.tls().map(|tls| tls.raw());
        let mut connection = self.fill(context, TYPE_HTTP, stream, Some(Arc::clone(endpoint)));
        let head = &mut connection.0.head;
        head.hash_info = peer.map_or(NO_PEER, hash_info);
        if let Some((ssl, bio)) = tls {
            (head.ssl, head.bio) = (ssl, bio);
        }
        connection
    }

    /// The connection to a local file.
    pub fn connection_to_file(self, context: &Context, file: File) -> Connection {
        self.fill(context, TYPE_FILE, Stream::File(file), None)
    }

    fn fill(
        self,
        context: &Context,
        r#type: c_int,
        stream: Stream,
        endpoint: Option<Arc<Endpoint>>,
    ) -> Connection {
        let Reserved { body, read_buf, read_buf_size, names, context: context_id } = self;
        let names = names.map_or([ptr::null_mut(); 2], |names| names.map(Block::into_raw));
        let fd = stream.as_raw_fd();
        let head = ConnectionHead {
            r#type,
            ctx: context.view().pointer_to_context().cast(),
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
            stream,
            endpoint,
            context: context_id,
            fd,
            shard: ShardNumber::own(),
            is_replaced: false,
            was_read: false,
            is_broken: false,
            in_exchange: false,
            awaits_continue: false,
            reply_is_over: false,
            closing: CloseReason::default(),
            forks: fork::generation(),
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
