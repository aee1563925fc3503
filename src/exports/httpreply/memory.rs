//! The receiver that keeps a reply in memory: its fields in a dictionary, its body in a buffer.

use std::ptr;

use libc::{c_char, c_int, c_uint};

use super::dpl_dict_t;
use crate::abi::dictionary::Dictionary;
use crate::abi::memory::{Growing, c_string};
use droplet_client::http::reader::Receiver;
use droplet_client::status::Error;

/// Number of buckets of a dictionary of fields. C can see it, so it is the original's.
const FIELD_BUCKETS: usize = 13;

/// Number of fields for each bucket, beyond which the dictionary has more buckets. To set a field, all fields of its
/// bucket are compared; without this the time would be quadratic in the number of fields.
const FIELDS_A_BUCKET: usize = 16;

/// The arguments of [`super::dpl_read_http_reply_ext`] that receive results: each NULL or writable. With `is_provided`,
/// `*data_bufp` has room for `*data_lenp` bytes.
pub struct Results {
    /// True if the program provides the buffer for the body.
    pub is_provided: bool,
    pub data_bufp: *mut *mut c_char,
    pub data_lenp: *mut c_uint,
    pub headersp: *mut *mut dpl_dict_t,
    pub connection_closep: *mut c_int,
}

/// The destination of the body.
enum Data {
    /// The body is dropped.
    Nowhere,
    /// A buffer that the program gets.
    Own(Growing),
    /// A buffer of the program's: its address, its size, and the number of bytes in it.
    Provided(*mut u8, usize, usize),
}

/// A reply in memory.
pub struct Memory {
    data: Data,
    /// The fields, once the head is complete, if the program wants them.
    fields: Option<Dictionary>,
    wants_fields: bool,
}

impl Memory {
    /// Returns an empty reply for these results.
    ///
    /// # Safety
    /// `results` is as [`Results`] says, until [`Memory::hand_over`] returns.
    pub unsafe fn for_results(results: &Results) -> Result<Memory, Error> {
        // SAFETY: the pointers are NULL or valid (contract of this function).
        let (data_buf, data_len) = unsafe { (results.data_bufp.as_ref(), results.data_lenp.as_ref()) };
        let data = match (results.is_provided, data_buf, data_len) {
            (true, Some(buffer), Some(length)) if !buffer.is_null() => {
                Data::Provided(buffer.cast(), *length as usize, 0)
            }
            (true, ..) => return Err(Error::Invalid),
            (false, Some(_), _) => Data::Own(Growing::default()),
            (false, None, _) => Data::Nowhere,
        };
        Ok(Memory { data, fields: None, wants_fields: !results.headersp.is_null() })
    }

    /// Returns whether the program gets the data of the body.
    pub fn wants_data(&self) -> bool {
        !matches!(self.data, Data::Nowhere)
    }

    /// Stores the reply in the results. `is_last`: the connection is to be closed.
    ///
    /// # Safety
    /// `results` are those of [`Memory::for_results`].
    pub unsafe fn hand_over(self, results: &Results, is_last: bool) {
        // SAFETY: the pointers are NULL or writable (contract of this function).
        let (data_buf, data_len, headers, close) = unsafe {
            (
                results.data_bufp.as_mut(),
                results.data_lenp.as_mut(),
                results.headersp.as_mut(),
                results.connection_closep.as_mut(),
            )
        };
        let length = match self.data {
            Data::Nowhere => 0,
            Data::Provided(_, _, used) => used,
            Data::Own(data) => {
                let length = data.length();
                if let Some(data_buf) = data_buf {
                    *data_buf = data.into_raw();
                }
                length
            }
        };
        if let Some(data_len) = data_len {
            *data_len = length as c_uint;
        }
        if let Some(headers) = headers {
            *headers = self.fields.map_or(ptr::null_mut(), Dictionary::into_raw);
        }
        if let Some(close) = close {
            *close = c_int::from(is_last);
        }
    }
}

impl Receiver for Memory {
    type Error = Error;

    fn fields_follow(&mut self, count: usize) -> Result<(), Error> {
        if self.wants_fields {
            self.fields = Some(Dictionary::new(FIELD_BUCKETS.max(count / FIELDS_A_BUCKET))?);
        }
        Ok(())
    }

    fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        let Some(fields) = &mut self.fields else { return Ok(()) };
        fields.set(&c_string(name)?, &c_string(value)?)
    }

    fn data(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        match &mut self.data {
            Data::Nowhere => Ok(()),
            // C has the length as an unsigned int.
            Data::Own(data) if data.length() + bytes.len() > c_uint::MAX as usize => Err(Error::Limit),
            Data::Own(data) => data.append(bytes),
            Data::Provided(buffer, size, used) => {
                let count = bytes.len().min(*size - *used);
                // SAFETY: the program's buffer has room for `size` bytes (contract of for_results).
                unsafe { buffer.add(*used).copy_from(bytes.as_ptr(), count) };
                *used += count;
                Ok(())
            }
        }
    }
}
