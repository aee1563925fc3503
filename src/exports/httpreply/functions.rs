//! The receiver that passes a reply to the program's functions.

use libc::{c_uint, c_void};

use super::{dpl_buffer_func_t, dpl_header_func_t};
use crate::abi::memory::c_string;
use crate::exports::dpl_status_t;
use droplet_client::http::reader::Receiver;
use droplet_client::status::{Error, SUCCESS};

/// The program's functions, NULL or valid for `cb_arg` (contract of [`super::dpl_read_http_reply_buffered`]).
pub struct Functions {
    pub header_func: dpl_header_func_t,
    pub buffer_func: dpl_buffer_func_t,
    pub cb_arg: *mut c_void,
}

impl Receiver for Functions {
    type Error = Error;

    fn fields_follow(&mut self, _count: usize) -> Result<(), Error> {
        Ok(())
    }

    fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        let Some(function) = self.header_func else { return Ok(()) };
        let (name, value) = (c_string(name)?, c_string(value)?);
        // SAFETY: the function takes `cb_arg` (Functions); name and value are strings.
        accepted(unsafe { function(self.cb_arg, name.as_ptr(), value.as_ptr()) })
    }

    fn data(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let Some(function) = self.buffer_func else { return Ok(()) };
        // SAFETY: the function takes `cb_arg` (Functions). The piece is in the read buffer, whose size is an int.
        accepted(unsafe { function(self.cb_arg, bytes.as_mut_ptr().cast(), bytes.len() as c_uint) })
    }
}

/// Returns an error if the program's function did not return DPL_SUCCESS.
fn accepted(status: dpl_status_t) -> Result<(), Error> {
    if status == SUCCESS { Ok(()) } else { Err(Error::Failure) }
}
