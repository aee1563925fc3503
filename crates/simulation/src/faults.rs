//! Faults of the local system, which are nobody else's.

use std::ffi::c_int;

use crate::world::World;

/// A call that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// socket(2)
    Socket,
    /// connect(2)
    Connect,
    /// poll(2)
    Poll,
    /// recv(2)
    Receive,
    /// send(2)
    Send,
    /// pipe2(2)
    Pipe,
    /// pthread_create(3)
    Thread,
    /// malloc(3) and its like
    Memory,
}

/// The faults to come.
#[derive(Default)]
pub struct Faults {
    coming: Vec<(Call, c_int, u32, u32)>,
    /// The number of faults so far.
    pub so_far: u64,
}

impl Faults {
    /// After `skip` calls, `count` calls fail with an error.
    pub fn plan(&mut self, call: Call, error: c_int, skip: u32, count: u32) {
        self.coming.push((call, error, skip, count));
    }

    /// Forgets the faults that did not happen yet.
    pub fn clear(&mut self) {
        self.coming.clear();
    }

    /// Returns the error of this call, if it is to fail.
    pub fn next(&mut self, call: Call) -> Option<c_int> {
        let place = self.coming.iter().position(|(planned, ..)| *planned == call)?;
        let (_, error, skip, count) = &mut self.coming[place];
        if *skip > 0 {
            *skip -= 1;
            return None;
        }
        *count -= 1;
        let (error, count) = (*error, *count);
        if count == 0 {
            self.coming.remove(place);
        }
        self.so_far += u64::from(error != libc::EINTR);
        Some(error)
    }
}

impl World {
    /// Returns the error of this call, if it is to fail.
    pub fn fault(&mut self, call: Call) -> Option<c_int> {
        let error = self.faults.next(call)?;
        self.trace(|| format!("{call:?} fails with {error}"));
        Some(error)
    }
}
