//! The descriptors of the simulated sockets and pipes, and poll(2) over them.

use std::ffi::{c_int, c_short};

use crate::network::Phase;
use crate::world::World;

/// The first number of a simulated descriptor. Lower ones are real.
pub const FIRST: c_int = 4000;

/// A file behind a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// A socket, by its number.
    Socket(usize),
    /// The end of a pipe for reading.
    Reader(usize),
    /// The end of a pipe for writing.
    Writer(usize),
}

/// A pipe that holds some bytes, or none.
#[derive(Clone, Copy, Default)]
pub struct Pipe {
    /// The number of bytes in it.
    pub bytes: usize,
    /// True if its reader is closed.
    pub has_no_reader: bool,
    /// True if its writer is closed.
    pub has_no_writer: bool,
}

/// The open descriptors.
#[derive(Default)]
pub struct Files {
    open: Vec<Option<File>>,
    /// All pipes.
    pub pipes: Vec<Pipe>,
}

impl Files {
    /// Opens the lowest free number.
    pub fn open(&mut self, file: File) -> c_int {
        let free = self.open.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            self.open.push(None);
            self.open.len() - 1
        });
        self.open[place] = Some(file);
        FIRST + place as c_int
    }

    /// Returns the file behind a number.
    pub fn get(&self, number: c_int) -> Option<File> {
        let place = usize::try_from(number - FIRST).ok()?;
        self.open.get(place).copied().flatten()
    }

    /// Closes a number. Returns the file that it led to.
    pub fn close(&mut self, number: c_int) -> Option<File> {
        let place = usize::try_from(number - FIRST).ok()?;
        let file = self.open.get_mut(place)?.take();
        match file {
            Some(File::Reader(pipe)) => self.pipes[pipe].has_no_reader = true,
            Some(File::Writer(pipe)) => self.pipes[pipe].has_no_writer = true,
            _ => {}
        }
        file
    }

    /// Returns all open files.
    pub fn all(&self) -> impl Iterator<Item = File> {
        self.open.iter().flatten().copied()
    }

    /// Makes a pipe. Returns the numbers of both ends.
    pub fn pipe(&mut self) -> [c_int; 2] {
        let pipe = self.pipes.len();
        self.pipes.push(Pipe::default());
        [self.open(File::Reader(pipe)), self.open(File::Writer(pipe))]
    }
}

impl World {
    /// Returns the events that poll(2) reports now for a descriptor and the events wanted.
    pub fn ready_events(&self, number: c_int, wanted: c_short) -> c_short {
        let always = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
        let seen = match self.files.get(number) {
            None => libc::POLLNVAL,
            Some(File::Reader(pipe)) => {
                let Pipe { bytes, has_no_writer, .. } = self.files.pipes[pipe];
                let data = if bytes > 0 { libc::POLLIN } else { 0 };
                data | if has_no_writer { libc::POLLHUP } else { 0 }
            }
            Some(File::Writer(_)) => libc::POLLOUT,
            Some(File::Socket(socket)) => self.socket_events(socket),
        };
        seen & (wanted | always)
    }

    fn socket_events(&self, number: usize) -> c_short {
        let socket = &self.sockets[number];
        let mut seen = 0;
        match socket.phase {
            Phase::New => return libc::POLLOUT | libc::POLLHUP,
            Phase::Connecting => return 0,
            Phase::Connected => {}
            Phase::Failed => {
                seen |= libc::POLLIN | libc::POLLOUT | libc::POLLHUP | libc::POLLRDHUP;
            }
        }
        if socket.error != 0 {
            seen |= libc::POLLERR;
        }
        if socket.room() > 0 || socket.is_shut {
            seen |= libc::POLLOUT;
        }
        if !socket.unread.is_empty() {
            seen |= libc::POLLIN;
        }
        if socket.has_ended || socket.is_shut {
            seen |= libc::POLLIN | libc::POLLRDHUP;
        }
        seen
    }
}
