//! The fields of a request that say what follows its head, in what is written.

/// The fields of a head, or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The value of `Content-Length`; [`NONE`] without the field.
    length: u64,
    /// The same of the field before.
    length_before: u64,
    place: Place,
    has_expect: bool,
    is_chunked: bool,
    /// True if nobody knows how long the body is.
    is_undefined: bool,
}

/// No length. A body is never as long as this.
const NONE: u64 = u64::MAX;

/// The coding that ends by itself (RFC 9112, section 7.1).
const CHUNKED: &[u8] = b"chunked";

/// A field that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Expect,
    Length,
    Coding,
}

/// A position in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Begin,
    /// Behind a carriage return that begins it.
    Return,
    /// Behind so many bytes of this name.
    Name(Name, u8),
    /// Before the digits of a length.
    BeforeDigits,
    Digits,
    AfterDigits,
    /// Behind so many bytes of [`CHUNKED`] in a list of codings.
    Coding(u8),
    /// In another coding.
    OtherCoding,
    Elsewhere,
}

/// The body that a head announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// So many bytes.
    Bytes(u64),
    /// Chunks.
    Chunks,
    /// The head does not say it, or not in a way that is valid.
    Undefined,
}

impl Default for Fields {
    fn default() -> Fields {
        Fields {
            length: NONE,
            length_before: NONE,
            place: Place::Begin,
            has_expect: false,
            is_chunked: false,
            is_undefined: false,
        }
    }
}

impl Fields {
    /// Returns whether the field `Expect` is among them.
    pub fn has_expect(&self) -> bool {
        self.has_expect
    }

    /// Returns the body that they announce (RFC 9112, section 6.3).
    pub fn body(&self) -> Body {
        match self.length {
            _ if self.is_undefined => Body::Undefined,
            _ if self.is_chunked => Body::Chunks,
            NONE => Body::Bytes(0),
            length => Body::Bytes(length),
        }
    }

    /// Searches a piece of the head. Returns the position behind the end of the head, if it ends there.
    pub fn search(&mut self, piece: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            if self.place == Place::Elsewhere {
                at += piece[at..].iter().position(|byte| *byte == b'\n')?;
            }
            let byte = *piece.get(at)?;
            at += 1;
            if byte == b'\n' && matches!(self.place, Place::Begin | Place::Return) {
                return Some(at);
            }
            self.place = self.after(byte);
        }
    }

    /// Returns the place behind this byte, which does not end the head.
    fn after(&mut self, byte: u8) -> Place {
        match (self.place, byte) {
            (place, b'\n') => {
                self.end_line(place);
                Place::Begin
            }
            (Place::Begin, b'\r') => Place::Return,
            (Place::Begin, byte) => {
                let names = [Name::Expect, Name::Length, Name::Coding];
                let begins = |name: &Name| name.text()[0].eq_ignore_ascii_case(&byte);
                names.into_iter().find(begins).map_or(Place::Elsewhere, |name| Place::Name(name, 1))
            }
            (Place::Name(name, count), byte) => match name.text().get(usize::from(count)) {
                Some(letter) if letter.eq_ignore_ascii_case(&byte) => Place::Name(name, count + 1),
                None if byte == b':' => self.begin_value(name),
                _ => Place::Elsewhere,
            },
            (place @ (Place::BeforeDigits | Place::AfterDigits | Place::Coding(0)), b' ' | b'\t' | b'\r') => {
                place
            }
            (Place::BeforeDigits | Place::Digits, b'0'..=b'9') => self.add_digit(byte - b'0'),
            (Place::Digits, b' ' | b'\t' | b'\r') => Place::AfterDigits,
            (Place::BeforeDigits | Place::Digits | Place::AfterDigits, _) => self.give_up(),
            (Place::Coding(_) | Place::OtherCoding, b',') => Place::Coding(0),
            (Place::Coding(count), byte) => match CHUNKED.get(usize::from(count)) {
                Some(letter) if letter.eq_ignore_ascii_case(&byte) => Place::Coding(count + 1),
                None if matches!(byte, b' ' | b'\t' | b'\r') => Place::Coding(count),
                _ => Place::OtherCoding,
            },
            (Place::OtherCoding, _) => Place::OtherCoding,
            (Place::Return | Place::Elsewhere, _) => Place::Elsewhere,
        }
    }

    fn begin_value(&mut self, name: Name) -> Place {
        match name {
            Name::Expect => {
                self.has_expect = true;
                Place::Elsewhere
            }
            Name::Length => {
                self.length_before = self.length;
                self.length = 0;
                Place::BeforeDigits
            }
            Name::Coding => Place::Coding(0),
        }
    }

    fn add_digit(&mut self, digit: u8) -> Place {
        let length = self.length.checked_mul(10).and_then(|tens| tens.checked_add(digit.into()));
        match length.filter(|length| *length != NONE) {
            Some(length) => {
                self.length = length;
                Place::Digits
            }
            None => self.give_up(),
        }
    }

    fn end_line(&mut self, place: Place) {
        match place {
            Place::Coding(count) => {
                self.is_chunked = usize::from(count) == CHUNKED.len();
                self.is_undefined |= !self.is_chunked;
            }
            Place::Digits | Place::AfterDigits => {
                self.is_undefined |= ![NONE, self.length].contains(&self.length_before);
            }
            Place::BeforeDigits | Place::OtherCoding => self.is_undefined = true,
            _ => {}
        }
    }

    fn give_up(&mut self) -> Place {
        self.is_undefined = true;
        Place::Elsewhere
    }
}

impl Name {
    /// Returns it in lower case.
    fn text(self) -> &'static [u8] {
        match self {
            Name::Expect => b"expect",
            Name::Length => b"content-length",
            Name::Coding => b"transfer-encoding",
        }
    }
}
