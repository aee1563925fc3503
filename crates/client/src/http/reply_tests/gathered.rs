//! A receiver that gathers what it gets. The fuzzer uses it too.

use super::Receiver;

/// Names and values of fields, in order.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What a receiver has got.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathered {
    pub fields: Fields,
    pub body: Vec<u8>,
}

impl Receiver for Gathered {
    type Error = ();

    fn fields_follow(&mut self, count: usize) -> Result<(), ()> {
        assert!(self.fields.is_empty());
        self.fields.reserve(count);
        Ok(())
    }

    fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), ()> {
        assert!(self.fields.len() < self.fields.capacity(), "more fields than were announced");
        self.fields.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    fn data(&mut self, bytes: &mut [u8]) -> Result<(), ()> {
        assert!(!bytes.is_empty());
        self.body.extend_from_slice(bytes);
        // The receiver may change them.
        bytes.fill(0xEE);
        Ok(())
    }
}
