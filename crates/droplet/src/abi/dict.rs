//! A dictionary: buckets of entries that are linked both ways. C walks them too.

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
        // SAFETY: key and value are NULL or from malloc, and the entry owns them.
        unsafe {
            libc::free(self.key.cast());
            drop(Owned::<Value>::from_raw(self.val));
        }
    }
}

impl DictVar {
    /// Returns the key.
    pub fn key(&self) -> &CStr {
        // SAFETY: `key` is NULL or a string.
        unsafe { string(self.key) }.unwrap_or_default()
    }

    /// Returns the value. `None` for NULL.
    pub fn value(&self) -> Option<&Value> {
        // SAFETY: `val` is NULL or a value.
        unsafe { self.val.as_ref() }
    }
}

impl Contents for Dict {
    unsafe fn free_contents(&mut self) {
        for var in self.vars() {
            // SAFETY: the dictionary owns the entry, and the iterator has gone past it.
            drop(unsafe { Owned::from_raw(var) });
        }
        // SAFETY: `buckets` is NULL or from malloc, and the dictionary owns it.
        unsafe { libc::free(self.buckets.cast()) };
    }
}

/// An iterator over all entries, bucket by bucket, and in each bucket from the newest. The entry that it returned last
/// may be removed.
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
        // SAFETY: `current` is not NULL, and so an entry of the dictionary.
        self.next = unsafe { (*current).prev };
        Some(current)
    }
}

// Methods take `&self`: the fields of the struct itself stay the same when entries are added and removed.
impl Dict {
    /// Makes an empty dictionary. An error for 0 buckets.
    pub fn new(buckets: usize) -> Result<Owned<Dict>, Error> {
        let n_buckets = u32::try_from(buckets).ok().filter(|count| *count > 0).ok_or(Error::Invalid)?;
        let size = buckets.checked_mul(size_of::<*mut DictVar>()).ok_or(Error::OutOfMemory)?;
        let memory = Block::<*mut DictVar>::of_size(size)?;
        // SAFETY: the block has room for `buckets` pointers.
        unsafe { memory.as_ptr().write_bytes(0, buckets) };
        Owned::new(Dict { buckets: memory.into_raw(), n_buckets })
    }

    /// Returns the buckets.
    fn buckets(&self) -> &[*mut DictVar] {
        if self.buckets.is_null() {
            return &[];
        }
        // SAFETY: `buckets` is not NULL, so it has `n_buckets` elements.
        unsafe { slice::from_raw_parts(self.buckets, self.n_buckets as usize) }
    }

    /// Returns the bucket of a key. `None` if the dictionary has no buckets.
    fn bucket(&self, key: &CStr) -> Option<*mut *mut DictVar> {
        let number = hash(key.to_bytes()).checked_rem(self.n_buckets)?;
        // SAFETY: `number` is less than `n_buckets`.
        (!self.buckets.is_null()).then(|| unsafe { self.buckets.add(number as usize) })
    }

    /// Returns an iterator over all entries.
    pub fn vars(&self) -> Vars<'_> {
        Vars { buckets: self.buckets().iter(), next: ptr::null_mut() }
    }

    /// Returns an iterator over the keys and values. Entries without a value are skipped.
    pub fn entries(&self) -> impl Iterator<Item = (&CStr, &Value)> {
        // SAFETY: the iterator returns entries, which the dictionary owns.
        self.vars().map(|var| unsafe { &*var }).filter_map(|var| Some((var.key(), var.value()?)))
    }

    /// Returns the entry of a key. NULL if there is none.
    pub fn find(&self, key: &CStr) -> *mut DictVar {
        let Some(bucket) = self.bucket(key) else { return ptr::null_mut() };
        // SAFETY: buckets and links are NULL or point to entries.
        unsafe {
            let mut var = *bucket;
            while !var.is_null() && (*var).key() != key {
                var = (*var).prev;
            }
            var
        }
    }

    /// Returns the string of a key. `None` if there is no such key, or its value is not a string.
    pub fn text(&self, key: &CStr) -> Option<&CStr> {
        // SAFETY: find() returns NULL or an entry.
        let var = unsafe { self.find(key).as_ref() };
        Some(var?.value()?.as_string()?.text())
    }

    /// Sets the value of a key.
    pub fn set(&self, key: &CStr, value: Owned<Value>) -> Result<(), Error> {
        // SAFETY: find() returns NULL or an entry.
        if let Some(var) = unsafe { self.find(key).as_mut() } {
            let old = std::mem::replace(&mut var.val, value.into_raw());
            // SAFETY: the entry owned its old value, and has the new one now.
            drop(unsafe { Owned::from_raw(old) });
            return Ok(());
        }
        let bucket = self.bucket(key).ok_or(Error::Invalid)?;
        let key = duplicate(key)?;
        // SAFETY: the bucket is one of the dictionary's, and is NULL or points to an entry.
        unsafe {
            let older = *bucket;
            let empty =
                DictVar { prev: older, next: ptr::null_mut(), key: ptr::null_mut(), val: ptr::null_mut() };
            let var = Owned::new(empty)?.into_raw();
            ((*var).key, (*var).val) = (key.into_raw(), value.into_raw());
            if let Some(older) = older.as_mut() {
                older.next = var;
            }
            *bucket = var;
        }
        Ok(())
    }

    /// Removes an entry and frees it. False if the dictionary does not have it.
    pub fn remove(&self, var: *mut DictVar) -> bool {
        if !self.vars().any(|one| one == var) {
            return false;
        }
        // SAFETY: `var` is an entry of this dictionary, and its links are NULL or entries.
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

    /// Copies the dictionary and all that it contains.
    pub fn copy(&self) -> Result<Owned<Dict>, Error> {
        let made = Dict::new(self.n_buckets as usize)?;
        made.set_all(self, |key| Some(key))?;
        Ok(made)
    }

    /// Writes the entries to a file, one a line.
    ///
    /// # Safety
    /// `file` is open for writing.
    pub unsafe fn print(&self, file: *mut FILE, level: c_int) {
        for (key, value) in self.entries() {
            // SAFETY: `file` is open for writing (contract of this function).
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

/// Returns a key in lower case.
pub fn lowered(key: &CStr) -> CString {
    // The key has no NUL, and lower case adds none.
    CString::new(key.to_bytes().to_ascii_lowercase()).unwrap_or_default()
}

/// Returns the ELF hash of a key, with its bytes as signed numbers. C sees which bucket an entry is in, so it must be the
/// original's.
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

    /// The buckets are those of the original (Droplet 3.0).
    #[test]
    fn a_key_has_the_bucket_that_it_has_in_the_original() {
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
    fn the_newest_entry_of_a_bucket_comes_first() {
        assert_eq!(texts(&with(&[c"a", c"b", c"c", c"a"])), ["c=2", "b=1", "a=3"]);
    }

    #[test]
    fn entries_can_be_removed_at_both_ends_and_in_the_middle() {
        for (key, rest) in [(c"a", ["c=2", "b=1"]), (c"b", ["c=2", "a=0"]), (c"c", ["b=1", "a=0"])] {
            let dict = with(&[c"a", c"b", c"c"]);
            assert!(dict.remove(dict.find(key)));
            assert_eq!(texts(&dict), rest);
            let vars: Vec<_> = dict.vars().collect();
            // SAFETY: the pointers are entries of the dictionary.
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
    fn the_current_entry_of_an_iteration_may_be_removed() {
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
    fn entries_without_a_value_are_skipped() {
        let dict = with(&[c"a", c"b"]);
        // SAFETY: the pointer is an entry of the dictionary. Its value is freed below.
        let value = unsafe { std::mem::replace(&mut (*dict.find(c"a")).val, ptr::null_mut()) };
        // SAFETY: the entry owned the value, and does not have it any more.
        drop(unsafe { Owned::from_raw(value) });
        assert_eq!(texts(&dict.copy().unwrap()), ["b=1"]);
        assert_eq!(dict.text(c"a"), None);
    }
}
