//! Requests and their parts.

use libc::{c_char, c_int, c_uint, c_void};

c_struct! {
    /// A request.
    pub struct RequestHead = "dpl_req_t", 1816 {
        0 ctx: *mut c_void,
        8 host: *mut c_char,
        16 port: *mut c_char,
        24 behavior_flags: c_int,
        28 method: c_int,
        32 bucket: *mut c_char,
        40 resource: *mut c_char,
        48 subresource: *mut c_char,
        56 cache_control: *mut c_char,
        64 content_disposition: *mut c_char,
        72 content_encoding: *mut c_char,
        80 object_type: c_int,
        88 content_type: *mut c_char,
        96 location_constraint: c_int,
        100 canned_acl: c_int,
        104 condition: Condition,
        912 storage_class: c_int,
        920 metadata: *mut c_void,
        928 data_buf: *const c_char,
        936 data_len: c_uint,
        940 data_enabled: c_int,
        944 range: Range,
        960 range_enabled: c_int,
        968 expires: libc::time_t,
        976 src_bucket: *mut c_char,
        984 src_resource: *mut c_char,
        992 src_subresource: *mut c_char,
        1000 copy_directive: c_int,
        1008 copy_source_condition: Condition,
    }
}

c_struct! {
    /// Conditions on the version of an object; all of them must hold.
    #[derive(Clone, Copy)]
    pub struct Condition = "dpl_condition_t", 808 {
        0 n_conds: c_int,
        8 conds: [ConditionOne; 10],
    }
}

c_struct! {
    /// One condition: a `time_t` or an etag, depending on its type.
    #[derive(Clone, Copy)]
    pub struct ConditionOne = "dpl_condition_one_t", 80 {
        0 r#type: c_int,
        8 content: [u64; 9],
    }
}

c_struct! {
    /// A range of bytes. An end with all bits set leaves it open.
    #[derive(Clone, Copy)]
    pub struct Range = "dpl_range_t", 16 {
        0 start: u64,
        8 end: u64,
    }
}
