//! The structs that C and this library share, to the byte.
//!
//! This is the only table of offsets: each line states the offset of a field, and a struct that differs does not
//! compile. The offsets are those of x86-64 Linux with glibc.

use libc::{c_char, c_int, c_uint, c_void};

/// Declares a `#[repr(C)]` struct: its name in C, its size, and each field after its offset.
#[macro_export]
macro_rules! c_struct {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident = $c_name:literal, $size:literal {
            $($offset:literal $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$attribute])*
        #[repr(C)]
        #[allow(missing_docs)]
        pub struct $name {
            $(pub $field: $type,)*
        }

        const _: () = {
            assert!(size_of::<$name>() == $size);
            $(assert!(std::mem::offset_of!($name, $field) == $offset);)*
        };

        #[cfg(test)]
        impl $name {
            /// Its name in C, its size, and the name, offset and size of each field.
            pub const TABLE: (&'static str, usize, &'static [(&'static str, usize, usize)]) = (
                $c_name,
                $size,
                &[$((stringify!($field), $offset, size_of::<$type>()),)*],
            );
        }
    };
}

mod request;

pub use request::{Condition, ConditionOne, Range, RequestHead};

/// A `dpl_ctx_t` of either layout. Only [`super::context_view`] knows its fields.
#[repr(C)]
pub struct ContextHead {
    _opaque: [u8; 0],
}

c_struct! {
    /// A context of Droplet 3.0.
    pub struct Context30 = "dpl_ctx", 440 {
        0 n_conn_buckets: c_int,
        4 n_conn_max: c_int,
        8 n_conn_max_hits: c_int,
        12 conn_idle_time: c_int,
        16 conn_timeout: c_int,
        20 read_timeout: c_int,
        24 write_timeout: c_int,
        28 use_https: c_int,
        32 addrlist: *mut AddrListHead,
        40 cur_host: c_int,
        44 blacklist_expiretime: c_int,
        48 base_path: *mut c_char,
        56 access_key: *mut c_char,
        64 secret_key: *mut c_char,
        72 aws_auth_sign_version: u8,
        73 aws_region: [u8; 32],
        112 ssl_cert_file: *mut c_char,
        120 ssl_key_file: *mut c_char,
        128 ssl_password: *mut c_char,
        136 ssl_ca_list: *mut c_char,
        144 ssl_crl_list: *mut c_char,
        152 cert_verif: c_int,
        160 ssl_method: *mut c_void,
        168 ssl_cipher_list: *mut c_char,
        176 ssl_comp: c_int,
        180 trace_level: c_uint,
        184 trace_buffers: c_int,
        188 trace_binary: c_int,
        192 pricing: *mut c_char,
        200 read_buf_size: c_uint,
        208 encrypt_key: *mut c_char,
        216 encode_slashes: c_int,
        220 empty_folder_emulation: c_int,
        224 keep_alive: c_int,
        228 url_encoding: c_int,
        232 max_redirects: c_int,
        236 preserve_root_path: c_int,
        240 enterprise_number: c_uint,
        248 backend: *mut c_void,
        256 header_size: c_int,
        264 request_pricing: *mut c_void,
        272 data_pricing: [*mut c_void; 3],
        296 ssl_ctx: *mut c_void,
        304 ssl_bio: *mut c_void,
        312 conn_buckets: *mut c_void,
        320 n_conn_fds: c_int,
        328 cwds: *mut c_void,
        336 cur_bucket: *mut c_char,
        344 droplet_dir: *mut c_char,
        352 profile_name: *mut c_char,
        360 pricing_dir: *mut c_char,
        368 event_log: *mut c_void,
        376 trace_func: *mut c_void,
        384 lock: libc::pthread_mutex_t,
        424 canary: c_int,
        432 backend_ctx: *mut c_void,
    }
}

c_struct! {
    /// A context of the variant of Droplet in Bareos.
    pub struct ContextBareos = "dpl_ctx", 408 {
        0 flags: c_uint,
        4 max_redirects: c_int,
        8 n_conn_buckets: c_int,
        12 n_conn_max: c_int,
        16 n_conn_max_hits: c_int,
        20 conn_idle_time: c_int,
        24 conn_timeout: c_int,
        28 read_timeout: c_int,
        32 write_timeout: c_int,
        40 addrlist: *mut AddrListHead,
        48 cur_host: c_int,
        52 blacklist_expiretime: c_int,
        56 base_path: *mut c_char,
        64 access_key: *mut c_char,
        72 secret_key: *mut c_char,
        80 aws_auth_sign_version: u8,
        81 aws_region: [u8; 32],
        120 ssl_cert_file: *mut c_char,
        128 ssl_key_file: *mut c_char,
        136 ssl_password: *mut c_char,
        144 ssl_ca_list: *mut c_char,
        152 ssl_crl_list: *mut c_char,
        160 ssl_method: *mut c_void,
        168 ssl_cipher_list: *mut c_char,
        176 trace_level: c_uint,
        180 default_behavior_flags: c_uint,
        184 pricing: *mut c_char,
        192 read_buf_size: c_uint,
        200 encrypt_key: *mut c_char,
        208 enterprise_number: c_uint,
        216 backend: *mut c_void,
        224 header_size: c_int,
        232 request_pricing: *mut c_void,
        240 data_pricing: [*mut c_void; 3],
        264 ssl_ctx: *mut c_void,
        272 ssl_bio: *mut c_void,
        280 conn_buckets: *mut c_void,
        288 n_conn_fds: c_int,
        296 cwds: *mut c_void,
        304 cur_bucket: *mut c_char,
        312 droplet_dir: *mut c_char,
        320 profile_name: *mut c_char,
        328 pricing_dir: *mut c_char,
        336 event_log: *mut c_void,
        344 trace_func: *mut c_void,
        352 lock: libc::pthread_mutex_t,
        392 canary: c_int,
        400 backend_ctx: *mut c_void,
    }
}

c_struct! {
    /// The peer's address in network byte order, IPv4 in the first four bytes, and its port.
    pub struct HashInfo = "dpl_hash_info", 20 {
        0 addr: [u32; 4],
        16 port: u16,
    }
}

c_struct! {
    /// The part of a connection that C sees.
    pub struct ConnectionHead = "dpl_conn", 168 {
        0 r#type: c_int,
        8 ctx: *mut c_void,
        16 next: *mut c_void,
        24 prev: *mut c_void,
        32 hash_info: HashInfo,
        56 host: *mut c_char,
        64 port: *mut c_char,
        72 fd: c_int,
        80 start_time: libc::time_t,
        88 close_time: libc::time_t,
        96 n_hits: c_uint,
        104 read_buf_size: usize,
        112 read_buf: *mut c_char,
        120 read_buf_pos: c_int,
        124 block_size: c_int,
        128 max_blocks: c_int,
        136 cc: isize,
        144 status: c_int,
        148 eof: c_int,
        152 ssl: *mut c_void,
        160 bio: *mut c_void,
    }
}

c_struct! {
    /// A host of a list, which is plain C memory.
    pub struct Addr = "dpl_addr", 64 {
        0 host: *mut c_char,
        8 portstr: *mut c_char,
        16 hbuf: *mut c_char,
        24 h: *mut libc::hostent,
        32 port: u16,
        40 blacklist_expire_timestamp: libc::time_t,
        48 le_next: *mut Addr,
        56 le_prev: *mut *mut Addr,
    }
}

c_struct! {
    /// The part of a list of hosts that C sees.
    pub struct AddrListHead = "dpl_addrlist", 56 {
        0 addr_list: *mut Addr,
        8 default_port: *mut c_char,
        16 lock: libc::pthread_mutex_t,
    }
}

/// Bit of [`ContextBareos::flags`]: connections use TLS.
pub const BAREOS_USE_HTTPS: c_uint = 1 << 0;
/// Bit of [`ContextBareos::flags`]: connections serve more than one request.
pub const BAREOS_KEEP_ALIVE: c_uint = 1 << 3;

#[cfg(test)]
#[path = "../../../tests/common/reference.rs"]
mod reference;

#[cfg(test)]
mod tests {
    use super::reference::assert_agrees;
    use super::*;

    #[test]
    fn structs_agree_with_the_reference_tables() {
        assert_agrees("layout-3.0.tsv", Context30::TABLE);
        assert_agrees("layout-bareos.tsv", ContextBareos::TABLE);
        for file in ["layout-3.0.tsv", "layout-bareos.tsv"] {
            assert_agrees(file, HashInfo::TABLE);
            assert_agrees(file, ConnectionHead::TABLE);
            assert_agrees(file, Addr::TABLE);
            assert_agrees(file, AddrListHead::TABLE);
        }
        for table in [RequestHead::TABLE, Condition::TABLE, ConditionOne::TABLE, Range::TABLE] {
            assert_agrees("layout-3.0.tsv", table);
        }
    }
}
