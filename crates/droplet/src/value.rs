//! Droplet's unit `value`: a string, a dictionary, a vector, or a pointer of the program's.

use std::ffi::CStr;
use std::ptr;

use libc::{FILE, c_int, c_void};

use super::owned::{Contents, Owned, raw_or_null};
use crate::layout::{Dict, Sbuf, Value, Vector};
use droplet_client::status::Error;
use droplet_conn::exports::{guard, refuse};

/// `dpl_value_t`.
pub type dpl_value_t = Value;

const STRING: c_int = 0;
const SUBDICT: c_int = 1;
const VECTOR: c_int = 2;
const POINTER: c_int = 3;

/// What a value's `ptr` leads to.
enum Content<'a> {
    String(&'a Sbuf),
    Dictionary(&'a Dict),
    Vector(&'a Vector),
    /// The program's own, of which nothing is known.
    Pointer(*mut c_void),
    /// A type that has no name, or a NULL where there should be something.
    Nothing,
}

impl Contents for Value {
    unsafe fn free_contents(&mut self) {
        // SAFETY: the value says what its content is, and owns it unless it is a pointer of the program's.
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
    /// A string.
    pub fn string(text: &[u8]) -> Result<Owned<Value>, Error> {
        Value::owning(STRING, Sbuf::holding(text)?)
    }

    /// A pointer of the program's.
    pub fn pointer(ptr: *mut c_void) -> Result<Owned<Value>, Error> {
        Owned::new(Value { ptr, r#type: POINTER })
    }

    fn owning<T: Contents>(r#type: c_int, content: Owned<T>) -> Result<Owned<Value>, Error> {
        Owned::new(Value { ptr: content.into_raw().cast(), r#type })
    }

    fn content(&self) -> Content<'_> {
        // SAFETY: the value says what its content is: NULL or valid.
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

    /// The string, if it is one.
    pub fn as_string(&self) -> Option<&Sbuf> {
        match self.content() {
            Content::String(string) => Some(string),
            _ => None,
        }
    }

    /// The program's pointer, if it is one.
    pub fn as_pointer(&self) -> Option<*mut c_void> {
        match self.content() {
            Content::Pointer(pointer) => Some(pointer),
            _ => None,
        }
    }

    /// A copy, of all that it contains too; of a pointer only that itself.
    pub fn copy(&self) -> Result<Owned<Value>, Error> {
        match self.content() {
            Content::String(string) => Value::owning(STRING, Sbuf::holding(string.bytes())?),
            Content::Dictionary(dictionary) => Value::owning(SUBDICT, dictionary.copy()?),
            Content::Vector(vector) => Value::owning(VECTOR, vector.copy()?),
            Content::Pointer(pointer) => Value::pointer(pointer),
            Content::Nothing => Owned::new(Value { ptr: ptr::null_mut(), r#type: self.r#type }),
        }
    }

    /// Writes the value to a file, the first line indented or not.
    ///
    /// # Safety
    /// `file` is open for writing.
    pub unsafe fn print(&self, file: *mut FILE, level: c_int, is_indented: bool) {
        // SAFETY: the caller's promise; the formats fit their arguments.
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

/// Writes a text to a file.
///
/// # Safety
/// `file` is open for writing.
pub unsafe fn put(file: *mut FILE, text: &CStr) {
    // SAFETY: the caller's promise.
    unsafe { libc::fputs(text.as_ptr(), file) };
}

/// Writes spaces to a file.
///
/// # Safety
/// `file` is open for writing.
pub unsafe fn indent(file: *mut FILE, level: c_int) {
    for _ in 0..level {
        // SAFETY: the caller's promise.
        unsafe { put(file, c" ") };
    }
}

/// Frees a value and all that it contains; what a pointer leads to stays.
///
/// @param value the value; NULL has no effect
///
/// # Safety
/// `value` is NULL or a value that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_value_free(value: *mut dpl_value_t) {
    // SAFETY: the caller's promise.
    guard(c"dpl_value_free", (), || drop(unsafe { Owned::from_raw(value) }))
}

/// Copies a value and all that it contains; of a pointer only that itself.
///
/// @param src the value
/// @return its copy, to be freed with dpl_value_free(); NULL for NULL, or if memory is out
///
/// # Safety
/// `src` is NULL or a value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_value_dup(src: *mut dpl_value_t) -> *mut dpl_value_t {
    const NAME: &CStr = c"dpl_value_dup";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        match unsafe { src.as_ref() } {
            Some(src) => raw_or_null(src.copy()),
            None => {
                refuse(None, NAME, "the value is NULL");
                ptr::null_mut()
            }
        }
    })
}

/// Writes a value to a file, for people to read.
///
/// @param val the value
/// @param f the file
/// @param level by how many spaces lines are indented
/// @param indent 0 not to indent the first line
///
/// # Safety
/// `val` is NULL or a value; `f` is NULL or open for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_value_print(val: *mut dpl_value_t, f: *mut FILE, level: c_int, indent: c_int) {
    const NAME: &CStr = c"dpl_value_print";
    guard(NAME, (), || {
        // SAFETY: the caller's promise.
        match unsafe { val.as_ref() } {
            // SAFETY: the caller's promise.
            Some(value) if !f.is_null() => unsafe { value.print(f, level, indent != 0) },
            _ => refuse(None, NAME, "the value or the file is NULL"),
        }
    })
}
