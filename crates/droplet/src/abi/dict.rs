//! A dictionary as C walks it: buckets of entries that are linked both ways.

use std::ffi::{CStr, CString};
use std::ptr;
use std::slice;

use libc::{FILE, c_int};

use super::file::{indent, put};
use super::layout::{Dict, DictVar, Value};
use super::owned::{Contents, Owned};
use droplet_client::status::Error;
use droplet_conn::abi::memory::{Block, duplicate, string};

impl Contents for DictVar {
    unsafe fn free_contents(&mut self) {
        // SAFETY: both are NULL or from malloc, and its own.
        unsafe {
            libc::free(self.key.cast());
            drop(Owned::<Value>::from_raw(self.val));
        }
    }
}

impl DictVar {
    /// Its key.
    pub fn key(&self) -> &CStr {
        // SAFETY: a key is NULL or ends with a NUL.
        unsafe { string(self.key) }.unwrap_or_default()
    }

    /// Its value.
    pub fn value(&self) -> Option<&Value> {
        // SAFETY: it is NULL or a value.
        unsafe { self.val.as_ref() }
    }
}

impl Contents for Dict {
    unsafe fn free_contents(&mut self) {
        for var in self.vars() {
            // SAFETY: the entries are the dictionary's own; the walk has gone past this one.
            drop(unsafe { Owned::from_raw(var) });
        }
        // SAFETY: NULL or from malloc, and its own.
        unsafe { libc::free(self.buckets.cast()) };
    }
}

/// A walk through all entries, bucket by bucket, in each the newest first. The entry it has given may be
/// taken out before it goes on.
pub struct Vars<'a> {
    buckets: slice::Iter<'a, *mut DictVar>,
    next: *mut DictVar,
}

impl Iterator for Vars<'_> {
    type Item = *mut DictVar;

    fn next(&mut self) -> Option<*mut DictVar> {
        while self.next.is_null() {
            self.next = *self.buckets.next()?;
        }
        let current = self.next;
        // SAFETY: a dictionary's links lead to entries, or are NULL.
        self.next = unsafe { (*current).prev };
        Some(current)
    }
}

// Its own fields stay as they are while entries come and go, so that none of this needs it to be mutable.
impl Dict {
    /// An empty dictionary.
    pub fn new(buckets: usize) -> Result<Owned<Dict>, Error> {
        let n_buckets = u32::try_from(buckets).ok().filter(|count| *count > 0).ok_or(Error::Invalid)?;
        let size = buckets.checked_mul(size_of::<*mut DictVar>()).ok_or(Error::OutOfMemory)?;
        let memory = Block::<*mut DictVar>::of_size(size)?;
        // SAFETY: the block has room for them.
        unsafe { memory.as_ptr().write_bytes(0, buckets) };
        Owned::new(Dict { buckets: memory.into_raw(), n_buckets })
    }

    fn buckets(&self) -> &[*mut DictVar] {
        if self.buckets.is_null() {
            return &[];
        }
        // SAFETY: a dictionary has as many buckets as it says.
        unsafe { slice::from_raw_parts(self.buckets, self.n_buckets as usize) }
    }

    /// Where a key's entries hang, if there are buckets at all.
    fn bucket(&self, key: &CStr) -> Option<*mut *mut DictVar> {
        let number = hash(key.to_bytes()).checked_rem(self.n_buckets)?;
        // SAFETY: there are that many buckets.
        (!self.buckets.is_null()).then(|| unsafe { self.buckets.add(number as usize) })
    }

    /// All entries.
    pub fn vars(&self) -> Vars<'_> {
        Vars { buckets: self.buckets().iter(), next: ptr::null_mut() }
    }

    /// The entries that have a key and a value.
    pub fn entries(&self) -> impl Iterator<Item = (&CStr, &Value)> {
        // SAFETY: the walk gives entries, which live as long as the dictionary lets them.
        self.vars().map(|var| unsafe { &*var }).filter_map(|var| Some((var.key(), var.value()?)))
    }

    /// The entry of a key, or NULL.
    pub fn find(&self, key: &CStr) -> *mut DictVar {
        let Some(bucket) = self.bucket(key) else { return ptr::null_mut() };
        // SAFETY: a dictionary's links lead to entries, or are NULL.
        unsafe {
            let mut var = *bucket;
            while !var.is_null() && (*var).key() != key {
                var = (*var).prev;
            }
            var
        }
    }

    /// The string of a key, if it has one.
    pub fn text(&self, key: &CStr) -> Option<&CStr> {
        // SAFETY: NULL or an entry.
        let var = unsafe { self.find(key).as_ref() };
        Some(var?.value()?.as_string()?.text())
    }

    /// Sets the value of a key.
    pub fn set(&self, key: &CStr, value: Owned<Value>) -> Result<(), Error> {
        // SAFETY: NULL or an entry.
        if let Some(var) = unsafe { self.find(key).as_mut() } {
            let old = std::mem::replace(&mut var.val, value.into_raw());
            // SAFETY: it was the entry's own.
            drop(unsafe { Owned::from_raw(old) });
            return Ok(());
        }
        let bucket = self.bucket(key).ok_or(Error::Invalid)?;
        let key = duplicate(key)?;
        // SAFETY: the bucket is the dictionary's, and its entries are.
        unsafe {
            let older = *bucket;
            let (key, val) = (key.into_raw(), value.into_raw());
            let var = Owned::new(DictVar { prev: older, next: ptr::null_mut(), key, val })?.into_raw();
            if let Some(older) = older.as_mut() {
                older.next = var;
            }
            *bucket = var;
        }
        Ok(())
    }

    /// Takes an entry out and frees it. False if it is not in this dictionary.
    pub fn remove(&self, var: *mut DictVar) -> bool {
        if !self.vars().any(|one| one == var) {
            return false;
        }
        // SAFETY: it is an entry of this dictionary, and so are those it is linked to.
        unsafe {
            let Some(owned) = Owned::<DictVar>::from_raw(var) else { return false };
            match owned.next.as_mut() {
                Some(newer) => newer.prev = owned.prev,
                None => {
                    if let Some(bucket) = self.bucket(owned.key()) {
                        *bucket = owned.prev;
                    }
                }
            }
            if let Some(older) = owned.prev.as_mut() {
                older.next = owned.next;
            }
        }
        true
    }

    /// Sets copies of all entries of another dictionary, or of itself, under the keys that `rename` gives.
    pub fn set_all(&self, from: &Dict, rename: impl Fn(&CStr) -> Option<&CStr>) -> Result<(), Error> {
        if ptr::eq(self, from) {
            return self.set_all(&*from.copy()?, rename);
        }
        from.entries().try_for_each(|(key, value)| match rename(key) {
            Some(key) => self.set(key, value.copy()?),
            None => Ok(()),
        })
    }

    /// A copy, of all that it contains too.
    pub fn copy(&self) -> Result<Owned<Dict>, Error> {
        let made = Dict::new(self.n_buckets as usize)?;
        made.set_all(self, |key| Some(key))?;
        Ok(made)
    }

    /// Writes a line an entry to a file.
    ///
    /// # Safety
    /// `file` is open for writing.
    pub unsafe fn print(&self, file: *mut FILE, level: c_int) {
        for (key, value) in self.entries() {
            // SAFETY: the caller's promise.
            unsafe {
                indent(file, level);
                put(file, key);
                put(file, c"=");
                value.print(file, level.saturating_add(1), false);
                put(file, c"\n");
            }
        }
    }
}

/// A key in small letters.
pub fn lowered(key: &CStr) -> CString {
    // Lowering makes no NUL.
    CString::new(key.to_bytes().to_ascii_lowercase()).unwrap_or_default()
}

/// The ELF hash of a key, its bytes taken as signed: C sees in which bucket an entry is.
fn hash(key: &[u8]) -> u32 {
    key.iter().fold(0, |hash: u32, byte| {
        let sum = (hash << 4).wrapping_add(*byte as i8 as u32);
        let top = sum & 0xf000_0000;
        (sum ^ (top >> 24)) & !top
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buckets as the original of Droplet 3.0 chose them.
    #[test]
    fn keys_fall_into_the_buckets_that_c_expects() {
        let buckets = |key: &[u8]| [13, 1 << 16, 1 << 24, (1 << 24) + 1].map(|count| hash(key) % count);
        assert_eq!(buckets(b""), [0, 0, 0, 0]);
        assert_eq!(buckets(b"ab"), [12, 1650, 1650, 1650]);
        assert_eq!(buckets(b"Content-Length"), [2, 36728, 7_507_832, 7_507_824]);
        assert_eq!(buckets(b"content-length"), [8, 36216, 7_507_320, 7_507_314]);
        assert_eq!(buckets(b"\xff\xff"), [7, 61471, 16_773_151, 16_773_136]);
        assert_eq!(buckets(&[b'a'; 46]), [9, 1, 7_405_569, 7_405_562]);
    }

    fn texts(dict: &Dict) -> Vec<String> {
        let text = |(key, value): (&CStr, &Value)| {
            let value = value.as_string().map(|it| it.text().to_string_lossy().into_owned());
            format!("{}={}", key.to_string_lossy(), value.unwrap_or_default())
        };
        dict.entries().map(text).collect()
    }

    fn with(keys: &[&CStr]) -> Owned<Dict> {
        let dict = Dict::new(1).unwrap();
        for (number, key) in keys.iter().enumerate() {
            dict.set(key, Value::string(number.to_string().as_bytes()).unwrap()).unwrap();
        }
        dict
    }

    #[test]
    fn the_newest_entry_of_a_bucket_comes_first_and_one_set_again_keeps_its_place() {
        assert_eq!(texts(&with(&[c"a", c"b", c"c", c"a"])), ["c=2", "b=1", "a=3"]);
    }

    #[test]
    fn entries_can_be_removed_at_both_ends_and_in_between() {
        for (key, rest) in [(c"a", ["c=2", "b=1"]), (c"b", ["c=2", "a=0"]), (c"c", ["b=1", "a=0"])] {
            let dict = with(&[c"a", c"b", c"c"]);
            assert!(dict.remove(dict.find(key)));
            assert_eq!(texts(&dict), rest);
            let vars: Vec<_> = dict.vars().collect();
            // SAFETY: both are entries of the dictionary.
            unsafe {
                assert!((*vars[0]).next.is_null() && (*vars[1]).prev.is_null());
                assert!((*vars[0]).prev == vars[1] && (*vars[1]).next == vars[0]);
            }
        }
    }

    #[test]
    fn an_entry_of_another_dictionary_is_not_removed() {
        let (one, other) = (with(&[c"a"]), with(&[c"a"]));
        assert!(!one.remove(other.find(c"a")));
        assert_eq!((texts(&one), texts(&other)), (vec!["a=0".to_owned()], vec!["a=0".to_owned()]));
    }

    #[test]
    fn a_walk_survives_the_removal_of_what_it_gave() {
        let dict = with(&[c"a", c"b", c"c"]);
        dict.vars().for_each(|var| assert!(dict.remove(var)));
        assert_eq!(dict.vars().count(), 0);
    }

    #[test]
    fn a_copy_has_its_own_values() {
        let dict = with(&[c"a"]);
        let copy = dict.copy().unwrap();
        dict.set(c"a", Value::string(b"changed").unwrap()).unwrap();
        assert_eq!(texts(&copy), ["a=0"]);
    }

    #[test]
    fn values_of_null_are_passed_over() {
        let dict = with(&[c"a", c"b"]);
        // SAFETY: an entry of the dictionary, whose value is freed here instead.
        let value = unsafe { std::mem::replace(&mut (*dict.find(c"a")).val, ptr::null_mut()) };
        // SAFETY: it was the entry's own.
        drop(unsafe { Owned::from_raw(value) });
        assert_eq!(texts(&dict.copy().unwrap()), ["b=1"]);
        assert_eq!(dict.text(c"a"), None);
    }
}
