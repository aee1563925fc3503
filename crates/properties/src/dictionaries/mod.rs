//! Operations on dictionaries, values, vectors and string buffers of C's, against a model.

mod compare;

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use libc::{c_int, c_void};

use crate::c::{self, Dict, Sbuf, Value, Vector, c_string};
use compare::{compare, encoded};

const STRING: c_int = 0;
const DICTIONARY: c_int = 1;
const VECTOR: c_int = 2;
const POINTER: c_int = 3;

/// Greatest number of values in one structure: values that contain each other grow fast.
const MOST_VALUES: usize = 500;

/// Number of dictionaries, of vectors, and of string buffers.
const COUNT: usize = 3;

/// One of several objects.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Place(u8);

impl Place {
    fn at(self) -> usize {
        usize::from(self.0) % COUNT
    }
}

/// A key: few letters, so that keys are equal, begin with each other, and share buckets.
#[derive(Arbitrary, Clone, Debug)]
enum Key {
    Short(u8),
    Long(Vec<u8>),
}

impl Key {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Key::Short(byte) => {
                b"aAbB"[..1 + usize::from(byte % 4)].iter().map(|it| it ^ ((byte >> 4) & 0x20)).collect()
            }
            Key::Long(bytes) => bytes.iter().copied().take_while(|byte| *byte != 0).collect(),
        }
    }
}

/// A value that is added.
#[derive(Arbitrary, Clone, Debug)]
enum Source {
    Text(Vec<u8>),
    Buffer(Place),
    Dictionary(Place),
    Vector(Place),
    Pointer(u16),
}

/// An operation.
#[derive(Arbitrary, Clone, Debug)]
enum Step {
    New { to: Place, buckets: u8 },
    Add { to: Place, key: Key, text: Vec<u8>, is_lowered: bool },
    AddValue { to: Place, key: Key, value: Source, is_lowered: bool },
    Get { from: Place, key: Key },
    Remove { from: Place, key: Key },
    RemoveSome { from: Place, every: u8 },
    Copy { to: Place, from: Place },
    Filter { to: Place, from: Place, prefix: Key, keeps: bool },
    Duplicate { to: Place, from: Place },
    NewVector { to: Place, size: u8, growth: i8 },
    Push { to: Place, value: Source },
    DuplicateVector { to: Place, from: Place },
    Sort { of: Place },
    NewBuffer { to: Place, size: u8 },
    Append { to: Place, bytes: Vec<u8>, is_text: bool },
    AppendOwn { to: Place, from: u8, length: u8 },
    Encode { of: Place },
    DuplicateBuffer { to: Place, from: Place },
}

/// The model of a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Model {
    Text(Vec<u8>),
    Dictionary(BTreeMap<Vec<u8>, Model>),
    Vector(Vec<Model>),
    Pointer(usize),
}

impl Model {
    /// Returns the number of values.
    fn size(&self) -> usize {
        match self {
            Model::Dictionary(entries) => 1 + entries.values().map(Model::size).sum::<usize>(),
            Model::Vector(items) => 1 + items.iter().map(Model::size).sum::<usize>(),
            Model::Text(_) | Model::Pointer(_) => 1,
        }
    }
}

/// All objects, and their models.
struct World {
    dictionaries: [*mut Dict; COUNT],
    vectors: [*mut Vector; COUNT],
    buffers: [*mut Sbuf; COUNT],
    of_dictionaries: [BTreeMap<Vec<u8>, Model>; COUNT],
    of_vectors: [Vec<Model>; COUNT],
    of_buffers: [Vec<u8>; COUNT],
}

/// Checks the properties on these bytes.
pub fn check(bytes: &[u8]) {
    let Ok(steps) = Vec::<Step>::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    c::be_quiet();
    let mut world = World::new();
    for step in steps.iter().take(200) {
        // SAFETY: all objects of the world are valid, and this thread's.
        unsafe {
            world.take(step);
            world.check();
        }
    }
}

impl World {
    fn new() -> World {
        // SAFETY: functions without conditions.
        unsafe {
            World {
                dictionaries: [1, 2, 13].map(|buckets| c::dpl_dict_new(buckets)),
                vectors: [1, 2, 5].map(|size| c::dpl_vec_new(size, size - 2)),
                buffers: [0, 1, 30].map(|size| c::dpl_sbuf_new(size)),
                of_dictionaries: Default::default(),
                of_vectors: Default::default(),
                of_buffers: Default::default(),
            }
        }
    }

    /// Returns the model of a value that is to be added.
    fn model_of(&self, source: &Source) -> Model {
        match source {
            Source::Text(text) => Model::Text(c_string(text).into_bytes()),
            // Strings end at a NUL for those who read them, but a copy has all bytes.
            Source::Buffer(at) => Model::Text(self.of_buffers[at.at()].clone()),
            Source::Dictionary(at) => Model::Dictionary(self.of_dictionaries[at.at()].clone()),
            Source::Vector(at) => Model::Vector(self.of_vectors[at.at()].clone()),
            Source::Pointer(number) => Model::Pointer(usize::from(*number)),
        }
    }

    /// Calls a function with a value as C programs make it: on the stack, with a pointer to an object of theirs.
    unsafe fn with_value<T>(&self, source: &Source, call: impl FnOnce(*mut Value) -> T) -> T {
        let text = if let Source::Text(text) = source { text.as_slice() } else { &[] };
        let text = c_string(text);
        let (length, allocated) = (text.count_bytes(), text.count_bytes() + 1);
        let mut buffer = Sbuf { text: text.as_ptr().cast_mut(), length, allocated };
        let (content, kind): (*mut c_void, _) = match source {
            Source::Text(_) => ((&raw mut buffer).cast(), STRING),
            Source::Buffer(at) => (self.buffers[at.at()].cast(), STRING),
            Source::Dictionary(at) => (self.dictionaries[at.at()].cast(), DICTIONARY),
            Source::Vector(at) => (self.vectors[at.at()].cast(), VECTOR),
            Source::Pointer(number) => (usize::from(*number) as *mut c_void, POINTER),
        };
        call(&mut Value { content, kind })
    }

    unsafe fn take(&mut self, step: &Step) {
        // SAFETY: each function gets objects of the world, and strings. What is replaced is freed once.
        unsafe {
            match step {
                Step::New { to, buckets } => {
                    let fresh = c::dpl_dict_new(c_int::from(*buckets));
                    assert_eq!(fresh.is_null(), *buckets == 0);
                    if !fresh.is_null() {
                        self.replace(to.at(), fresh, BTreeMap::new());
                    }
                }
                Step::Add { to, key, text, is_lowered } => {
                    let (key, text) = (c_string(&key.bytes()), c_string(text));
                    let dict = self.dictionaries[to.at()];
                    let status = c::dpl_dict_add(dict, key.as_ptr(), text.as_ptr(), (*is_lowered).into());
                    assert_eq!(status, c::SUCCESS);
                    self.set(to.at(), key.into_bytes(), Model::Text(text.into_bytes()), *is_lowered);
                }
                Step::AddValue { to, key, value, is_lowered } => {
                    let model = self.model_of(value);
                    if model.size() + self.size(to.at()) > MOST_VALUES {
                        return;
                    }
                    let (key, dict) = (c_string(&key.bytes()), self.dictionaries[to.at()]);
                    let status = self.with_value(value, |value| {
                        c::dpl_dict_add_value(dict, key.as_ptr(), value, (*is_lowered).into())
                    });
                    assert_eq!(status, c::SUCCESS);
                    self.set(to.at(), key.into_bytes(), model, *is_lowered);
                }
                Step::Get { from, key } => self.get(from.at(), &key.bytes()),
                Step::Remove { from, key } => {
                    let (key, dict) = (c_string(&key.bytes()), self.dictionaries[from.at()]);
                    let entry = c::dpl_dict_get(dict, key.as_ptr());
                    let expected = self.of_dictionaries[from.at()].remove(key.to_bytes());
                    assert_eq!(entry.is_null(), expected.is_none());
                    c::dpl_dict_remove(dict, entry);
                }
                Step::RemoveSome { from, every } => self.remove_some(from.at(), usize::from(*every)),
                Step::Copy { to, from } => {
                    self.copy(to.at(), from.at(), &|key| Some(key.to_vec()), |to, from| {
                        c::dpl_dict_copy(to, from)
                    })
                }
                Step::Filter { to, from, prefix, keeps } => {
                    let prefix = c_string(&prefix.bytes());
                    let bytes = prefix.to_bytes();
                    if *keeps {
                        let rename = |key: &[u8]| key.strip_prefix(bytes).map(<[u8]>::to_vec);
                        self.copy(to.at(), from.at(), &rename, |to, from| {
                            c::dpl_dict_filter_prefix(to, from, prefix.as_ptr())
                        });
                    } else {
                        let rename = |key: &[u8]| (!key.starts_with(bytes)).then(|| key.to_vec());
                        self.copy(to.at(), from.at(), &rename, |to, from| {
                            c::dpl_dict_filter_no_prefix(to, from, prefix.as_ptr())
                        });
                    }
                }
                Step::Duplicate { to, from } => {
                    let copy = c::dpl_dict_dup(self.dictionaries[from.at()]);
                    self.replace(to.at(), copy, self.of_dictionaries[from.at()].clone());
                }
                other => self.take_other(other),
            }
        }
    }

    /// Takes a step on vectors or buffers.
    unsafe fn take_other(&mut self, step: &Step) {
        // SAFETY: as in take().
        unsafe {
            match step {
                Step::NewVector { to, size, growth } => {
                    let fresh = c::dpl_vec_new(c_int::from(*size), c_int::from(*growth));
                    assert_eq!(fresh.is_null(), *size == 0);
                    if !fresh.is_null() {
                        self.replace_vector(to.at(), fresh, Vec::new());
                    }
                }
                Step::Push { to, value } => self.push(to.at(), value),
                Step::DuplicateVector { to, from } => {
                    let copy = c::dpl_vec_dup(self.vectors[from.at()]);
                    self.replace_vector(to.at(), copy, self.of_vectors[from.at()].clone());
                }
                Step::Sort { of } => {
                    c::dpl_vec_sort(self.vectors[of.at()], Some(compare));
                    self.of_vectors[of.at()].sort();
                }
                Step::NewBuffer { to, size } => {
                    self.replace_buffer(to.at(), c::dpl_sbuf_new(usize::from(*size)), Vec::new());
                }
                Step::Append { to, bytes, is_text } => {
                    let (buffer, text) = (self.buffers[to.at()], c_string(bytes));
                    let (status, added) = match is_text {
                        true => (c::dpl_sbuf_add_str(buffer, text.as_ptr()), text.to_bytes()),
                        false => {
                            (c::dpl_sbuf_add(buffer, bytes.as_ptr().cast(), bytes.len()), bytes.as_slice())
                        }
                    };
                    assert_eq!(status, c::SUCCESS);
                    self.of_buffers[to.at()].extend_from_slice(added);
                }
                Step::AppendOwn { to, from, length } => {
                    let buffer = self.buffers[to.at()];
                    let model = &mut self.of_buffers[to.at()];
                    let from = usize::from(*from).min(model.len());
                    let length = usize::from(*length).min(model.len() - from);
                    assert_eq!(c::dpl_sbuf_add(buffer, (*buffer).text.add(from), length), c::SUCCESS);
                    model.extend_from_within(from..from + length);
                }
                Step::Encode { of } if self.of_buffers[of.at()].len() < 10_000 => {
                    assert_eq!(c::dpl_sbuf_url_encode(self.buffers[of.at()]), c::SUCCESS);
                    self.of_buffers[of.at()] = encoded(&self.of_buffers[of.at()]);
                }
                Step::DuplicateBuffer { to, from } => {
                    let copy = c::dpl_sbuf_dup(self.buffers[from.at()]);
                    self.replace_buffer(to.at(), copy, self.of_buffers[from.at()].clone());
                }
                _ => {}
            }
        }
    }

    fn size(&self, at: usize) -> usize {
        self.of_dictionaries[at].values().map(Model::size).sum()
    }

    fn set(&mut self, at: usize, key: Vec<u8>, value: Model, is_lowered: bool) {
        let key = if is_lowered { key.to_ascii_lowercase() } else { key };
        self.of_dictionaries[at].insert(key, value);
    }

    unsafe fn replace(&mut self, at: usize, fresh: *mut Dict, model: BTreeMap<Vec<u8>, Model>) {
        // SAFETY: the old one is not used any more.
        unsafe { c::dpl_dict_free(std::mem::replace(&mut self.dictionaries[at], fresh)) };
        self.of_dictionaries[at] = model;
    }

    unsafe fn replace_vector(&mut self, at: usize, fresh: *mut Vector, model: Vec<Model>) {
        // SAFETY: the old one is not used any more.
        unsafe { c::dpl_vec_free(std::mem::replace(&mut self.vectors[at], fresh)) };
        self.of_vectors[at] = model;
    }

    unsafe fn replace_buffer(&mut self, at: usize, fresh: *mut Sbuf, model: Vec<u8>) {
        // SAFETY: the old one is not used any more.
        unsafe { c::dpl_sbuf_free(std::mem::replace(&mut self.buffers[at], fresh)) };
        self.of_buffers[at] = model;
    }
}
