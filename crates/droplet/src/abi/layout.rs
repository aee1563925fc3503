//! The layout of dictionaries, values, vectors and string buffers, asserted at compile time.

use droplet_conn::c_struct;
use libc::{c_char, c_int, c_uint, c_void};

c_struct! {
    /// A dictionary: a hash table with linked entries.
    pub struct Dict = "dpl_dict", 16 {
        0 buckets: *mut *mut DictVar,
        8 n_buckets: c_uint,
    }
}

c_struct! {
    /// An entry of a dictionary. A bucket points to its newest entry, `prev` to the next older one, `next` back.
    pub struct DictVar = "dpl_dict_var", 32 {
        0 prev: *mut DictVar,
        8 next: *mut DictVar,
        16 key: *mut c_char,
        24 val: *mut Value,
    }
}

c_struct! {
    /// A value. `type` says what `ptr` points to.
    pub struct Value = "dpl_value", 16 {
        0 ptr: *mut c_void,
        8 r#type: c_int,
    }
}

c_struct! {
    /// A vector of values.
    pub struct Vector = "dpl_vec", 24 {
        0 items: *mut *mut Value,
        8 n_items: c_int,
        12 size: c_int,
        16 incr_size: c_int,
    }
}

c_struct! {
    /// A string buffer. `buf` ends with a NUL, which `len` does not count.
    pub struct Sbuf = "dpl_sbuf_t", 24 {
        0 buf: *mut c_char,
        8 len: usize,
        16 allocated: usize,
    }
}

#[cfg(test)]
#[path = "../../../../tests/common/reference.rs"]
mod reference;

#[cfg(test)]
mod tests {
    use super::reference::assert_agrees;
    use super::*;

    #[test]
    fn structs_agree_with_the_reference_tables() {
        for table in [Dict::TABLE, DictVar::TABLE, Value::TABLE, Vector::TABLE, Sbuf::TABLE] {
            assert_agrees("layout-3.0.tsv", table);
        }
    }
}
