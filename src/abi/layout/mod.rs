//! The structs that C and this library share, to the byte.
//!
//! This is the only table of offsets: each line states the offset of a field, and a struct that differs does not
//! compile. The offsets are those of 64-bit Linux with glibc, which differ by architecture in what follows a mutex.

use libc::{c_char, c_int, c_uint, c_void};

/// Declares a `#[repr(C)]` struct: its name in C, its size, and each field after its offset.
#[macro_export]
macro_rules! c_struct {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident = $c_name:literal, $size:tt {
            $($offset:tt $field:ident: $type:ty,)*
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

/// Size of a mutex: 40 bytes on x86-64, 48 on aarch64.
pub const MUTEX: usize = size_of::<libc::pthread_mutex_t>();

mod context;
mod request;

pub use context::{
    BAREOS_KEEP_ALIVE, BAREOS_USE_HTTPS, Context30, Context201406, Context201504, ContextBareos, ContextHead,
};
pub use request::{Condition, ConditionOne, Range, RequestHead};

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
    pub struct AddrListHead = "dpl_addrlist", (16 + MUTEX) {
        0 addr_list: *mut Addr,
        8 default_port: *mut c_char,
        16 lock: libc::pthread_mutex_t,
    }
}

#[cfg(test)]
#[path = "../../../tests/common/reference.rs"]
mod reference;

#[cfg(test)]
mod tests {
    use super::reference::assert_agrees;
    use super::*;

    #[test]
    fn structs_agree_with_the_reference_tables() {
        let contexts = [
            ("layout-2014-06.tsv", Context201406::TABLE),
            ("layout-2015-04.tsv", Context201504::TABLE),
            ("layout-3.0.tsv", Context30::TABLE),
            ("layout-bareos.tsv", ContextBareos::TABLE),
        ];
        for (file, context) in contexts {
            assert_agrees(file, context);
            for table in [HashInfo::TABLE, ConnectionHead::TABLE, Addr::TABLE, AddrListHead::TABLE] {
                assert_agrees(file, table);
            }
        }
        for file in ["layout-2014-06.tsv", "layout-2015-04.tsv", "layout-3.0.tsv"] {
            for table in [RequestHead::TABLE, Condition::TABLE, ConditionOne::TABLE, Range::TABLE] {
                assert_agrees(file, table);
            }
        }
    }
}
