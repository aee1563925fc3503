//! Contexts.

use libc::{c_char, c_int, c_uint, c_void};

use super::{AddrListHead, MUTEX};

/// A `dpl_ctx_t` of any layout. Only `context_view` knows its fields.
#[repr(C)]
pub struct ContextHead {
    _opaque: [u8; 0],
}

/// Declares a context of Droplet 3.0: the fields that all of its revisions have, and those that follow.
macro_rules! context_of_3_0 {
    ($(#[$attribute:meta])* pub struct $name:ident = $size:tt { $($rest:tt)* }) => {
        c_struct! {
            $(#[$attribute])*
            pub struct $name = "dpl_ctx", $size {
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
                $($rest)*
            }
        }
    };
}

context_of_3_0! {
    /// A context of Droplet 3.0 as of June 2014.
    pub struct Context201406 = (392 + MUTEX) {
        220 keep_alive: c_int,
        224 url_encoding: c_int,
        228 max_redirects: c_int,
        232 enterprise_number: c_uint,
        240 backend: *mut c_void,
        248 header_size: c_int,
        256 request_pricing: *mut c_void,
        264 data_pricing: [*mut c_void; 3],
        288 ssl_ctx: *mut c_void,
        296 ssl_bio: *mut c_void,
        304 conn_buckets: *mut c_void,
        312 n_conn_fds: c_int,
        320 cwds: *mut c_void,
        328 cur_bucket: *mut c_char,
        336 droplet_dir: *mut c_char,
        344 profile_name: *mut c_char,
        352 pricing_dir: *mut c_char,
        360 event_log: *mut c_void,
        368 trace_func: *mut c_void,
        376 lock: libc::pthread_mutex_t,
        (376 + MUTEX) canary: c_int,
        (384 + MUTEX) backend_ctx: *mut c_void,
    }
}

context_of_3_0! {
    /// A context of Droplet 3.0 as of April 2015.
    pub struct Context201504 = (392 + MUTEX) {
        220 empty_folder_emulation: c_int,
        224 keep_alive: c_int,
        228 url_encoding: c_int,
        232 max_redirects: c_int,
        236 enterprise_number: c_uint,
        240 backend: *mut c_void,
        248 header_size: c_int,
        256 request_pricing: *mut c_void,
        264 data_pricing: [*mut c_void; 3],
        288 ssl_ctx: *mut c_void,
        296 ssl_bio: *mut c_void,
        304 conn_buckets: *mut c_void,
        312 n_conn_fds: c_int,
        320 cwds: *mut c_void,
        328 cur_bucket: *mut c_char,
        336 droplet_dir: *mut c_char,
        344 profile_name: *mut c_char,
        352 pricing_dir: *mut c_char,
        360 event_log: *mut c_void,
        368 trace_func: *mut c_void,
        376 lock: libc::pthread_mutex_t,
        (376 + MUTEX) canary: c_int,
        (384 + MUTEX) backend_ctx: *mut c_void,
    }
}

context_of_3_0! {
    /// A context of Droplet 3.0 as it has been since November 2015.
    pub struct Context30 = (400 + MUTEX) {
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
        (384 + MUTEX) canary: c_int,
        (392 + MUTEX) backend_ctx: *mut c_void,
    }
}

c_struct! {
    /// A context of the variant of Droplet in Bareos.
    pub struct ContextBareos = "dpl_ctx", (368 + MUTEX) {
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
        (352 + MUTEX) canary: c_int,
        (360 + MUTEX) backend_ctx: *mut c_void,
    }
}

/// Bit of [`ContextBareos::flags`]: connections use TLS.
pub const BAREOS_USE_HTTPS: c_uint = 1 << 0;
/// Bit of [`ContextBareos::flags`]: connections serve more than one request.
pub const BAREOS_KEEP_ALIVE: c_uint = 1 << 3;
