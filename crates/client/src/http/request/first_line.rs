//! The first line of a request, in what is written.

/// More than the length of the longest method that is registered, `UPDATEREDIRECTREF`.
const MOST_OF_METHOD: u8 = 20;

/// What stands between the target of a request and the last digit of its first line.
const VERSION: &[u8] = b"HTTP/1.";

/// A position in what may be the first line of a request: behind so many letters of its method, or one of the numbers
/// below. To it, [`IS_HEAD`] is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstLine(u8);

/// The method is HEAD, as far as it is known.
const IS_HEAD: u8 = 0x80;

/// Outside of such a line.
const NOWHERE: u8 = 0;
/// In the target.
const TARGET: u8 = MOST_OF_METHOD + 1;
/// Behind a blank that may end the target. So many bytes of [`VERSION`] as have come are added.
const BLANK: u8 = TARGET + 1;
/// Behind the version, but for its last digit.
const DIGIT: u8 = BLANK + VERSION.len() as u8;
/// Behind the last digit.
const END: u8 = DIGIT + 1;
/// Behind the carriage return.
const RETURN: u8 = END + 1;

/// What a byte says about the line.
pub enum Step {
    /// It may be the first line of a request, and goes on.
    GoesOn,
    /// It is not the first line of a request.
    IsNone,
    /// It ends.
    Ends {
        /// The method is HEAD.
        is_head: bool,
    },
}

impl FirstLine {
    /// True if something was written that may begin such a line.
    pub fn is_begun(self) -> bool {
        self.0 != NOWHERE
    }

    /// Takes the next byte.
    #[inline]
    pub fn step(&mut self, byte: u8) -> Step {
        let (position, is_head) = (self.0 & !IS_HEAD, self.0 & IS_HEAD);
        if byte == b'\n' && matches!(position, END | RETURN) {
            self.0 = NOWHERE;
            return Step::Ends { is_head: is_head != 0 };
        }
        self.0 = next(position, is_head, byte);
        if self.0 == NOWHERE { Step::IsNone } else { Step::GoesOn }
    }
}

/// Returns the position behind this byte, which does not end the line.
#[inline]
fn next(position: u8, is_head: u8, byte: u8) -> u8 {
    match (position, byte) {
        (NOWHERE..MOST_OF_METHOD, b'A'..=b'Z') => {
            let may_be_head = position == NOWHERE || is_head != 0;
            let goes_on = may_be_head && b"HEAD".get(usize::from(position)) == Some(&byte);
            position + 1 + if goes_on { IS_HEAD } else { 0 }
        }
        (1..MOST_OF_METHOD, b'-') => position + 1,
        (1..=MOST_OF_METHOD, b' ') => TARGET + if position == 4 { is_head } else { 0 },
        (NOWHERE..=MOST_OF_METHOD, _) => NOWHERE,
        (BLANK..DIGIT, byte) if byte == VERSION[usize::from(position - BLANK)] => position + 1 + is_head,
        (DIGIT, b'0'..=b'9') => END + is_head,
        (END, b'\r') => RETURN + is_head,
        (_, b' ') => BLANK + is_head,
        (_, ..b' ' | 0x7F) => NOWHERE,
        _ => TARGET + is_head,
    }
}
