//! Comparison of C's objects with their models, and the steps that look at entries.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ptr;
use std::slice;

use libc::{c_int, c_void};

use super::{COUNT, DICTIONARY, MOST_VALUES, Model, POINTER, STRING, Source, VECTOR, World};
use crate::c::{self, Dict, Sbuf, Value, Vector, c_string, copied};

/// Compares two items of a vector, for dpl_vec_sort().
///
/// # Safety
/// Both point to pointers to values.
pub unsafe extern "C" fn compare(one: *const c_void, other: *const c_void) -> c_int {
    // SAFETY: pointers to values (contract of this function).
    let [one, other] = [one, other].map(|item| unsafe { of_value(*item.cast::<*mut Value>()) });
    one.cmp(&other) as c_int
}

/// Encodes bytes for a URL.
pub fn encoded(bytes: &[u8]) -> Vec<u8> {
    let encode = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => vec![*byte],
        _ => format!("%{byte:02X}").into_bytes(),
    };
    bytes.iter().flat_map(encode).collect()
}

/// Returns the bytes of a buffer, which a NUL follows.
unsafe fn of_buffer(buffer: *const Sbuf) -> Vec<u8> {
    // SAFETY: a valid buffer.
    unsafe {
        let buffer = &*buffer;
        assert!(buffer.length < buffer.allocated);
        assert_eq!(*buffer.text.add(buffer.length), 0);
        slice::from_raw_parts(buffer.text.cast::<u8>(), buffer.length).to_vec()
    }
}

unsafe fn of_vector(vector: *const Vector) -> Vec<Model> {
    // SAFETY: a valid vector.
    unsafe {
        let vector = &*vector;
        assert!((0..=vector.size).contains(&vector.count));
        (0..vector.count as usize).map(|at| of_value(*vector.items.add(at))).collect()
    }
}

unsafe fn of_dictionary(dict: *const Dict) -> BTreeMap<Vec<u8>, Model> {
    // SAFETY: a valid dictionary.
    unsafe {
        let entries = c::entries(dict);
        let count = entries.len();
        let found: BTreeMap<_, _> = entries
            .into_iter()
            .map(|entry| {
                let (older, newer) = ((*entry).older, (*entry).newer);
                assert!(older.is_null() || (*older).newer == entry, "the links of a bucket");
                assert!(newer.is_null() || (*newer).older == entry, "the links of a bucket");
                (copied((*entry).key).expect("a key"), of_value((*entry).value))
            })
            .collect();
        assert_eq!((found.len(), c::dpl_dict_count(dict) as usize), (count, count), "a key is there twice");
        found
    }
}

unsafe fn of_value(value: *const Value) -> Model {
    // SAFETY: a valid value, whose kind says what its content is.
    unsafe {
        let Value { content, kind } = *value;
        match kind {
            STRING => Model::Text(of_buffer(content.cast())),
            DICTIONARY => Model::Dictionary(of_dictionary(content.cast())),
            VECTOR => Model::Vector(of_vector(content.cast())),
            POINTER => Model::Pointer(content.addr()),
            _ => panic!("a value of kind {kind}"),
        }
    }
}

/// Writes a dictionary as dpl_dict_print() does, in C's order.
unsafe fn printed(to: &mut Vec<u8>, dict: *const Dict, level: usize) {
    // SAFETY: a valid dictionary.
    unsafe {
        for entry in c::entries(dict) {
            to.extend(b" ".repeat(level));
            to.extend(copied((*entry).key).expect("a key"));
            to.push(b'=');
            value_printed(to, (*entry).value, level + 1);
            to.push(b'\n');
        }
    }
}

unsafe fn value_printed(to: &mut Vec<u8>, value: *const Value, level: usize) {
    // SAFETY: a valid value, whose kind says what its content is.
    unsafe {
        let Value { content, kind } = *value;
        match kind {
            STRING => to.extend(of_buffer(content.cast())),
            DICTIONARY => {
                to.extend(b"{\n");
                printed(to, content.cast(), level + 1);
                to.extend(b" ".repeat(level));
                to.push(b'}');
            }
            VECTOR => {
                let vector = &*content.cast::<Vector>();
                to.push(b'[');
                for at in 0..vector.count as usize {
                    if at > 0 {
                        to.push(b',');
                    }
                    value_printed(to, *vector.items.add(at), level + 1);
                }
                to.push(b']');
            }
            // As printf(3) does it for a NULL.
            _ if content.is_null() => to.extend(b"(nil)"),
            _ => to.extend(format!("{content:p}").bytes()),
        }
    }
}

impl World {
    /// Compares all objects with their models.
    ///
    /// # Safety
    /// All objects are valid.
    pub unsafe fn check(&self) {
        // SAFETY: valid objects (contract of this function).
        unsafe {
            for at in 0..COUNT {
                assert_eq!(of_dictionary(self.dictionaries[at]), self.of_dictionaries[at]);
                assert_eq!(of_vector(self.vectors[at]), self.of_vectors[at]);
                assert_eq!(of_buffer(self.buffers[at]), self.of_buffers[at]);
            }
        }
    }

    /// Finds an entry by all functions that do, and prints its dictionary.
    ///
    /// # Safety
    /// All objects are valid.
    pub unsafe fn get(&self, from: usize, key: &[u8]) {
        let (dict, model) = (self.dictionaries[from], &self.of_dictionaries[from]);
        let key = c_string(key);
        let expected = model.get(key.to_bytes());
        // SAFETY: a valid dictionary and strings; the copy is freed once.
        unsafe {
            let entry = c::dpl_dict_get(dict, key.as_ptr());
            assert_eq!(entry.as_ref().map(|entry| of_value(entry.value)).as_ref(), expected);
            let text = copied(c::dpl_dict_get_value(dict, key.as_ptr()));
            let expected_text = match expected {
                Some(Model::Text(text)) => Some(
                    CStr::from_bytes_until_nul(&[text, &b"\0"[..]].concat())
                        .map_or(Vec::new(), |text| text.to_bytes().to_vec()),
                ),
                _ => None,
            };
            assert_eq!(text, expected_text);
            let mut found = ptr::null_mut();
            let status = c::dpl_dict_get_lowered(dict, key.as_ptr(), &raw mut found);
            let lowered = model.get(&key.to_bytes().to_ascii_lowercase());
            assert_eq!(status, if lowered.is_some() { c::SUCCESS } else { c::ENOENT });
            assert_eq!(found.as_ref().map(|entry| of_value(entry.value)).as_ref(), lowered);
            if let Some(entry) = entry.as_ref() {
                let copy = c::dpl_value_dup(entry.value);
                assert_eq!(Some(&of_value(copy)), expected);
                c::dpl_value_free(copy);
            }
            self.check_print(from);
        }
    }

    /// # Safety
    /// All objects are valid.
    unsafe fn check_print(&self, from: usize) {
        let (mut text, mut length) = (ptr::null_mut(), 0);
        let mut expected = Vec::new();
        // SAFETY: a valid dictionary; a file in memory, which is closed once, and its text, which is freed once.
        unsafe {
            printed(&mut expected, self.dictionaries[from], 2);
            let file = libc::open_memstream(&raw mut text, &raw mut length);
            c::dpl_dict_print(self.dictionaries[from], file, 2);
            libc::fclose(file);
            assert_eq!(slice::from_raw_parts(text.cast::<u8>(), length), expected);
            libc::free(text.cast());
        }
    }

    /// Removes entries while they are iterated over.
    ///
    /// # Safety
    /// All objects are valid.
    pub unsafe fn remove_some(&mut self, from: usize, every: usize) {
        struct Removal {
            dict: *mut Dict,
            left: usize,
            every: usize,
            removed: Vec<Vec<u8>>,
        }
        unsafe extern "C" fn remove(entry: *mut c::Entry, removal: *mut c_void) -> c_int {
            // SAFETY: the removal below, and an entry of its dictionary.
            unsafe {
                let removal = &mut *removal.cast::<Removal>();
                removal.left = removal.left.checked_sub(1).unwrap_or(removal.every);
                if removal.left == 0 {
                    removal.removed.push(copied((*entry).key).expect("a key"));
                    c::dpl_dict_remove(removal.dict, entry);
                }
            }
            c::SUCCESS
        }
        let dict = self.dictionaries[from];
        let mut removal = Removal { dict, left: 1, every, removed: Vec::new() };
        // SAFETY: a valid dictionary, and a function that takes the removal.
        let status = unsafe { c::dpl_dict_iterate(dict, Some(remove), (&raw mut removal).cast()) };
        assert_eq!(status, c::SUCCESS);
        for key in removal.removed {
            assert!(self.of_dictionaries[from].remove(&key).is_some());
        }
    }

    /// Copies entries by `copy`, under the keys that `rename` gives.
    ///
    /// # Safety
    /// All objects are valid.
    pub unsafe fn copy(
        &mut self,
        to: usize,
        from: usize,
        rename: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
        copy: impl FnOnce(*mut Dict, *const Dict) -> c_int,
    ) {
        // Several entries may get the same key: the one that C iterates over last counts. So the order is C's.
        // SAFETY: a valid dictionary.
        let keys: Vec<Vec<u8>> = unsafe {
            let entries = c::entries(self.dictionaries[from]).into_iter();
            entries.map(|entry| copied((*entry).key).expect("a key")).collect()
        };
        if self.size(to) + self.size(from) > MOST_VALUES {
            return;
        }
        let model = self.of_dictionaries[from].clone();
        assert_eq!(copy(self.dictionaries[to], self.dictionaries[from]), c::SUCCESS);
        for key in keys {
            if let Some(renamed) = rename(&key) {
                self.of_dictionaries[to].insert(renamed, model[&key].clone());
            }
        }
    }

    /// Adds a value to a vector, and gets it back if it is a pointer.
    ///
    /// # Safety
    /// All objects are valid.
    pub unsafe fn push(&mut self, to: usize, source: &Source) {
        let model = self.model_of(source);
        let size: usize = self.of_vectors[to].iter().map(Model::size).sum();
        if model.size() + size > MOST_VALUES {
            return;
        }
        let vector = self.vectors[to];
        // SAFETY: a valid vector and a valid value.
        unsafe {
            let status = match source {
                Source::Pointer(number) => c::dpl_vec_add(vector, usize::from(*number) as *mut c_void),
                _ => self.with_value(source, |value| c::dpl_vec_add_value(vector, value)),
            };
            assert_eq!(status, c::SUCCESS);
            let last = self.of_vectors[to].len() as c_int;
            let expected = if let Model::Pointer(number) = model { number } else { 0 };
            assert_eq!(c::dpl_vec_get(vector, last).addr(), expected);
            assert!(c::dpl_vec_get(vector, last + 1).is_null() && c::dpl_vec_get(vector, -1).is_null());
        }
        self.of_vectors[to].push(model);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // SAFETY: nobody uses the objects any more.
        unsafe {
            self.dictionaries.iter().for_each(|dict| c::dpl_dict_free(*dict));
            self.vectors.iter().for_each(|vector| c::dpl_vec_free(*vector));
            self.buffers.iter().for_each(|buffer| c::dpl_sbuf_free(*buffer));
        }
    }
}
