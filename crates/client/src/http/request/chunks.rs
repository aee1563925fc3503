//! A body in chunks (RFC 9112, section 7.1), in what is written.

/// The position in such a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    /// The number of bytes that are left of a chunk, or its size as far as it is known.
    left: u64,
    place: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before the size of a chunk.
    #[default]
    Begin,
    Size,
    /// Behind the size, in its line.
    Extension,
    Data,
    /// In the line end behind the data.
    DataEnd,
    /// At the beginning of a line behind the last chunk.
    Trailer,
    /// Behind a carriage return that begins it.
    TrailerReturn,
    /// Elsewhere in it.
    TrailerField,
}

/// The outcome of [`Chunks::take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// All was a part of the body, which goes on.
    All,
    /// The body ends behind so many bytes.
    UpTo(usize),
    /// It is no such body.
    Invalid,
}

impl Chunks {
    /// Takes a piece of the body.
    pub fn take(&mut self, mut piece: &[u8]) -> Taken {
        let length = piece.len();
        loop {
            if self.place == Place::Data {
                let count = self.left.min(piece.len() as u64);
                self.left -= count;
                piece = &piece[count as usize..];
                if self.left == 0 {
                    self.place = Place::DataEnd;
                }
            }
            let Some((byte, rest)) = piece.split_first() else { return Taken::All };
            piece = rest;
            match self.after(*byte) {
                Ok(Some(place)) => self.place = place,
                Ok(None) => return Taken::UpTo(length - piece.len()),
                Err(()) => return Taken::Invalid,
            }
        }
    }

    /// Returns the place behind this byte, which is no data; `None` at the end of the body. An error if it is invalid.
    fn after(&mut self, byte: u8) -> Result<Option<Place>, ()> {
        Ok(Some(match (self.place, byte) {
            (Place::Begin | Place::Size, byte) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.left = self.left.checked_mul(16).ok_or(())? + u64::from(digit);
                Place::Size
            }
            (Place::Size | Place::Extension, b'\n') if self.left == 0 => Place::Trailer,
            (Place::Size | Place::Extension, b'\n') => Place::Data,
            (Place::Size, b' ' | b'\t' | b'\r' | b';') | (Place::Extension, _) => Place::Extension,
            (Place::DataEnd, b'\r') => Place::DataEnd,
            (Place::DataEnd, b'\n') => Place::Begin,
            (Place::Trailer | Place::TrailerReturn, b'\n') => return Ok(None),
            (Place::Trailer, b'\r') => Place::TrailerReturn,
            (Place::TrailerField, b'\n') => Place::Trailer,
            (Place::Trailer | Place::TrailerReturn | Place::TrailerField, _) => Place::TrailerField,
            (Place::Begin | Place::Size | Place::DataEnd | Place::Data, _) => return Err(()),
        }))
    }
}
