//! A value of a dictionary or a vector: a string, a dictionary, a vector, or a pointer of the program's.

use std::ptr;

use libc::{FILE, c_int, c_void};

use super::file::{indent, put};
use super::layout::{Dict, Sbuf, Value, Vector};
use super::owned::{Contents, Owned};
use droplet_client::status::Error;

const STRING: c_int = 0;
const SUBDICT: c_int = 1;
const VECTOR: c_int = 2;
const POINTER: c_int = 3;

/// The content of a value.
enum Content<'a> {
    String(&'a Sbuf),
    Dictionary(&'a Dict),
    Vector(&'a Vector),
    /// A pointer of the program's. It is not dereferenced here.
    Pointer(*mut c_void),
    /// No content: an unknown type, or NULL instead of a struct.
    Nothing,
}

impl Contents for Value {
    unsafe fn free_contents(&mut self) {
        // SAFETY: `type` says what `ptr` points to, and the value owns that unless it is a pointer of the program's.
        unsafe {
            match self.r#type {
                STRING => drop(Owned::<Sbuf>::from_raw(self.ptr.cast())),
                SUBDICT => drop(Owned::<Dict>::from_raw(self.ptr.cast())),
                VECTOR => drop(Owned::<Vector>::from_raw(self.ptr.cast())),
                _ => {}
            }
        }
    }
}

impl Value {
    /// Makes a string.
    pub fn string(text: &[u8]) -> Result<Owned<Value>, Error> {
        Value::owning(STRING, Sbuf::holding(text)?)
    }

    /// Makes a value of a pointer of the program's.
    pub fn pointer(ptr: *mut c_void) -> Result<Owned<Value>, Error> {
        Owned::new(Value { ptr, r#type: POINTER })
    }

    fn owning<T: Contents>(r#type: c_int, content: Owned<T>) -> Result<Owned<Value>, Error> {
        Owned::new(Value { ptr: content.into_raw().cast(), r#type })
    }

    fn content(&self) -> Content<'_> {
        // SAFETY: `type` says what `ptr` points to; `ptr` is NULL or valid.
        let content = unsafe {
            match self.r#type {
                STRING => self.ptr.cast::<Sbuf>().as_ref().map(Content::String),
                SUBDICT => self.ptr.cast::<Dict>().as_ref().map(Content::Dictionary),
                VECTOR => self.ptr.cast::<Vector>().as_ref().map(Content::Vector),
                POINTER => Some(Content::Pointer(self.ptr)),
                _ => None,
            }
        };
        content.unwrap_or(Content::Nothing)
    }

    /// Returns the string. `None` for another type.
    pub fn as_string(&self) -> Option<&Sbuf> {
        match self.content() {
            Content::String(string) => Some(string),
            _ => None,
        }
    }

    /// Returns the program's pointer. `None` for another type.
    pub fn as_pointer(&self) -> Option<*mut c_void> {
        match self.content() {
            Content::Pointer(pointer) => Some(pointer),
            _ => None,
        }
    }

    /// Copies the value and all that it contains. A pointer of the program's is copied, but not what it points to.
    pub fn copy(&self) -> Result<Owned<Value>, Error> {
        match self.content() {
            Content::String(string) => Value::owning(STRING, Sbuf::holding(string.bytes())?),
            Content::Dictionary(dictionary) => Value::owning(SUBDICT, dictionary.copy()?),
            Content::Vector(vector) => Value::owning(VECTOR, vector.copy()?),
            Content::Pointer(pointer) => Value::pointer(pointer),
            Content::Nothing => Owned::new(Value { ptr: ptr::null_mut(), r#type: self.r#type }),
        }
    }

    /// Writes the value to a file. The first line is indented if `is_indented`.
    ///
    /// # Safety
    /// `file` is open for writing.
    pub unsafe fn print(&self, file: *mut FILE, level: c_int, is_indented: bool) {
        // SAFETY: `file` is open for writing (contract of this function); the formats fit their arguments.
        unsafe {
            let lead = if is_indented { level } else { 0 };
            match self.content() {
                Content::String(string) => string.print(file),
                Content::Dictionary(dictionary) => {
                    indent(file, lead);
                    put(file, c"{\n");
                    dictionary.print(file, level.saturating_add(1));
                    indent(file, level);
                    put(file, c"}");
                }
                Content::Vector(vector) => {
                    indent(file, lead);
                    put(file, c"[");
                    vector.print(file, level.saturating_add(1));
                    put(file, c"]");
                }
                Content::Pointer(pointer) => {
                    libc::fprintf(file, c"%p".as_ptr(), pointer);
                }
                Content::Nothing => {}
            }
        }
    }
}
