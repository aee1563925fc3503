//! Droplet's unit `context`: contexts from profile files and dictionaries.

mod lock;
mod status;

use std::env;
use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use libc::c_char;

use super::dict::dpl_dict_t;
use crate::abi::layout::Dict;
use crate::abi::owned::Owned;
use droplet_client::os::sys;
use droplet_client::profile::Profile;
use droplet_client::status::SUCCESS;
use droplet_conn::abi::layout::Context30;
use droplet_conn::abi::memory::string;
use droplet_conn::abi::owned_context::{self, Maker};
use droplet_conn::exports::{call_log, dpl_ctx_t, dpl_status_t, guard, refuse};

/// Number of buckets of `cwds`. C can see it, so it is the original's.
const CWDS_BUCKETS: usize = 13;

/// Greatest length of a line in the head of a reply: `header_size` of the context that was made last.
#[unsafe(no_mangle)]
pub static dpl_header_size: AtomicI32 = AtomicI32::new(0);

/// Initialises the library. The call is optional, and has no effect.
///
/// @return DPL_SUCCESS
#[unsafe(no_mangle)]
pub extern "C" fn dpl_init() -> dpl_status_t {
    SUCCESS
}

/// Ends the use of the library. It has no effect: OpenSSL clears up after itself when the process ends.
#[unsafe(no_mangle)]
pub extern "C" fn dpl_free() {}

/// Makes a context from a profile file, `NAME.profile` in the droplet directory. An error is logged with file
/// and line.
///
/// @param droplet_dir the directory; NULL for the environment's `DPLDIR`, or else `~/.droplet`
/// @param profile_name the name; NULL for the environment's `DPLPROFILE`, or else "default"
/// @return the context, to be freed with dpl_ctx_free(); NULL on failure
///
/// # Safety
/// `droplet_dir` and `profile_name` are NULL or strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_ctx_new(
    droplet_dir: *const c_char,
    profile_name: *const c_char,
) -> *mut dpl_ctx_t {
    const NAME: &CStr = c"dpl_ctx_new";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: `droplet_dir` and `profile_name` are NULL or strings (contract of this function).
        let (directory, name) = unsafe { (string(droplet_dir), string(profile_name)) };
        from_file(directory, name).unwrap_or_else(|reason| {
            refuse(None, NAME, &reason);
            ptr::null_mut()
        })
    })
}

/// Makes a context from a file. The error is a text for the log.
fn from_file(directory: Option<&CStr>, name: Option<&CStr>) -> Result<*mut dpl_ctx_t, String> {
    let (directory, name) = (droplet_dir(directory)?, profile_name(name));
    let file_name = [name.as_bytes(), b".profile"].concat();
    let path = Path::new(OsStr::from_bytes(directory.as_bytes())).join(OsStr::from_bytes(&file_name));
    let text = fs::read(&path).map_err(|error| format!("{}: {}", path.display(), sys::error_text(&error)))?;
    let mut profile = Profile::new(path.display().to_string(), directory, name);
    profile.read(&text).map_err(|error| error.to_string())?;
    create(&profile, c"dpl_ctx_new")
}

/// Makes a context from a dictionary with the variables of a profile file, and `droplet_dir` and
/// `profile_name`. The order of `use_https` and `host` does not matter.
///
/// @param profile the dictionary, which stays the caller's
/// @return as dpl_ctx_new()
///
/// # Safety
/// `profile` is NULL or a dictionary.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_ctx_new_from_dict(profile: *const dpl_dict_t) -> *mut dpl_ctx_t {
    const NAME: &CStr = c"dpl_ctx_new_from_dict";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: `profile` is NULL or a dictionary (contract of this function).
        let made = match unsafe { profile.as_ref() } {
            Some(variables) => from_dictionary(variables),
            None => Err("the dictionary is NULL".to_owned()),
        };
        made.unwrap_or_else(|reason| {
            refuse(None, NAME, &reason);
            ptr::null_mut()
        })
    })
}

/// Makes a context from a dictionary. The error is a text for the log.
fn from_dictionary(dictionary: &dpl_dict_t) -> Result<*mut dpl_ctx_t, String> {
    let mut variables = Vec::new();
    for var in dictionary.vars() {
        // SAFETY: vars() returns entries of the dictionary; key and value are NULL or valid.
        let (key, value) = unsafe { (string((*var).key), (*var).val.as_ref()) };
        let key = key.ok_or("dictionary: a variable without a name")?;
        let value = value.and_then(|value| value.as_string());
        let value = value.ok_or_else(|| format!("dictionary: {}: not a string", key.to_string_lossy()))?;
        variables.push((key, value.bytes()));
    }
    let directory = droplet_dir(dictionary.text(c"droplet_dir"))?;
    let name = profile_name(dictionary.text(c"profile_name"));
    let mut profile = Profile::new("dictionary".to_owned(), directory, name);
    profile.set_all(variables.into_iter()).map_err(|error| error.to_string())?;
    create(&profile, c"dpl_ctx_new_from_dict")
}

/// Makes a context with all that Droplet's functions need.
fn create(profile: &Profile, function: &'static CStr) -> Result<*mut dpl_ctx_t, String> {
    let directories = Dict::new(CWDS_BUCKETS).map_err(|error| error.to_string())?;
    let context = owned_context::create(profile, Maker::Droplet, &call_log(None, function))?;
    // SAFETY: owned_context::create() returned a context in the layout of 3.0, which no one else has yet.
    unsafe { (*context.cast::<Context30>()).cwds = directories.into_raw().cast() };
    dpl_header_size.store(profile.header_size, Ordering::Relaxed);
    Ok(context)
}

/// Returns the droplet directory: the argument, the environment's, or `~/.droplet`.
fn droplet_dir(argument: Option<&CStr>) -> Result<CString, String> {
    if let Some(directory) = argument.map(CStr::to_owned).or_else(|| variable("DPLDIR")) {
        return Ok(directory);
    }
    let home = home_directory().ok_or("this user has no home directory: set DPLDIR")?;
    c_string([home.as_bytes(), b"/.droplet"].concat()).ok_or("the home directory has a NUL byte".to_owned())
}

/// Returns the home directory of the user. It is found with getpwuid(3) because programs replace that function, as the
/// original's tests do. The next call may overwrite the result, so it is copied at once.
fn home_directory() -> Option<CString> {
    // SAFETY: getpwuid() returns NULL or an entry that is valid until its next call.
    unsafe {
        let entry = libc::getpwuid(libc::getuid()).as_ref()?;
        (!entry.pw_dir.is_null()).then(|| CStr::from_ptr(entry.pw_dir).to_owned())
    }
}

/// Returns the name of the profile: the argument, the environment's, or `default`.
fn profile_name(argument: Option<&CStr>) -> CString {
    let given = argument.map(CStr::to_owned).or_else(|| variable("DPLPROFILE"));
    given.unwrap_or_else(|| c"default".to_owned())
}

/// Returns a variable of the environment. `None` if it is not set.
fn variable(name: &str) -> Option<CString> {
    env::var_os(name).and_then(|value| c_string(value.into_vec()))
}

fn c_string(bytes: Vec<u8>) -> Option<CString> {
    CString::new(bytes).ok()
}

/// Closes the idle connections of a context and frees it, with all that it owns. Connections in use stay usable.
/// It also frees contexts from dplx_ctx_new().
///
/// @param ctx the context, which no other thread uses; NULL has no effect. A context that was freed before, or that
///        is not from this library, is left alone, with a line in the log
///
/// # Safety
/// `ctx` is NULL or came from a function of this library. No other thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_ctx_free(ctx: *mut dpl_ctx_t) {
    const NAME: &CStr = c"dpl_ctx_free";
    guard(NAME, (), || {
        if ctx.is_null() {
            return;
        }
        // SAFETY: no other thread uses the context (contract of this function).
        match unsafe { owned_context::destroy(ctx, Maker::Droplet) } {
            // SAFETY: NULL, or the dictionary of the context, which is gone.
            Some(cwds) => drop(unsafe { Owned::<Dict>::from_raw(cwds.cast()) }),
            None => refuse(None, NAME, "this context was freed before, or is not from this library"),
        }
    })
}
