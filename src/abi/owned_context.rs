//! Contexts that this library makes from profiles. Each is a whole `dpl_ctx_t` in the layout of Droplet 3.0, which C
//! reads and writes like one of Droplet's. [`Profile::new`], [`Profile::read`] and [`create`] turn a text into one.

use std::cell::UnsafeCell;
use std::env;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;

use libc::{c_char, c_int, c_uint, c_void};

use super::addrlist::{AddError, AddrList};
use super::call::ContextCall;
use super::context::Context;
use super::context_view::{LIMITS_OF_A_NEW_CONTEXT, REDIRECTS_OF_A_NEW_CONTEXT};
use super::layout::{AddrListHead, Context30, ContextHead};
use super::memory::duplicate;
use super::slab::{InSlab, Slab};
use droplet_client::checkout::Settings;
use droplet_client::log;
use droplet_client::log::Log;
use droplet_client::os::fork;
use droplet_client::os::libssl::{any_method, hand_over_context, take_back_context};
use droplet_client::profile::{BACKENDS, Backend, HostList, Profile};
use droplet_client::status::Error;

/// The functions by which C makes and frees a context.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// `dplx_ctx_new` and `dplx_ctx_free`.
    Dplx,
    /// Functions with Droplet's names. Those that free a context accept contexts of both makers.
    Droplet,
}

impl Maker {
    fn function_that_frees(self) -> &'static CStr {
        match self {
            Maker::Dplx => c"dplx_ctx_free",
            Maker::Droplet => c"dpl_ctx_free",
        }
    }
}

/// A context of this library. It owns what its fields point to. Strings are blocks from malloc(3), which C may replace.
#[repr(C)]
struct OwnedContext {
    head: UnsafeCell<Context30>,
    // ---- C sees no further ----
    maker: Maker,
}

// SAFETY: this module uses it only when it is made and when it is freed, by one thread. In between its fields are
// accessed atomically, by `View`.
unsafe impl Send for OwnedContext {}
// SAFETY: as above.
unsafe impl Sync for OwnedContext {}

static OWNED: Slab<OwnedContext> = Slab::new();

impl InSlab for OwnedContext {
    #[inline]
    fn slab() -> &'static Slab<OwnedContext> {
        &OWNED
    }
}

/// Target of a context's `backend` field: the name, and functions, all of them NULL here.
#[repr(C)]
struct BackendHead {
    name: *const c_char,
    functions: [*const c_void; 31],
}

// SAFETY: the pointers lead to constants.
unsafe impl Sync for BackendHead {}

static BACKEND_HEADS: [BackendHead; BACKENDS.len()] = {
    let mut heads =
        [const { BackendHead { name: ptr::null(), functions: [ptr::null(); 31] } }; BACKENDS.len()];
    let mut at = 0;
    while at < BACKENDS.len() {
        heads[at].name = BACKENDS[at].name.as_ptr();
        at += 1;
    }
    heads
};

/// Returns the value of the `backend` field for a backend.
fn backend_head(backend: &Backend) -> *mut c_void {
    let head = BACKENDS.iter().position(|other| other == backend).map(|at| &raw const BACKEND_HEADS[at]);
    head.map_or(ptr::null_mut(), |head| head.cast_mut().cast())
}

/// Returns whether [`create`] made this context.
pub fn is_own(context: *mut ContextHead) -> bool {
    OWNED.get(context.cast()).is_some()
}

/// Makes a context from a profile and gives it to C, which frees it with [`destroy`]. Errors are returned as text,
/// warnings are logged.
pub fn create(profile: &Profile, maker: Maker, log: &impl Log) -> Result<*mut ContextHead, String> {
    // First: another thread may fork before the pool is made, which does this as well.
    fork::protect().map_err(|_| "out of memory")?;
    for warning in &profile.warnings {
        log!(log, Warning, "{warning}");
    }
    let out_of_memory = |_| "out of memory".to_owned();
    let mut context = OwnedContext { head: UnsafeCell::new(with_plain_fields(profile)), maker };
    let fields = context.head.get_mut();
    fields.set_strings(profile).map_err(out_of_memory)?;
    if let Some(hosts) = &profile.hosts {
        let warn = |text: String| log!(log, Warning, "{}", profile.error_in("host", text));
        let timeout = Settings::connect_timeout(profile.conn_timeout);
        fields.addrlist =
            host_list(hosts, timeout, warn).map_err(|fault| profile.error_in("host", fault).to_string())?;
    }
    if let Some(tls) = profile.tls_context().map_err(|fault| fault.to_string())? {
        fields.ssl_ctx = hand_over_context(tls);
    }
    let handed_out = OWNED.insert(context).map_err(out_of_memory)?.into_raw();
    // SAFETY: `handed_out` points to a context that was just made, in the layout of 3.0.
    let made = unsafe { Context::make(handed_out.cast(), true) }.map_err(|error| {
        drop(OWNED.take(handed_out));
        error.to_string()
    })?;
    made.read_environment(log);
    Ok(handed_out.cast())
}

/// Closes the idle connections of a context that [`create`] made, and frees it. Returns its `cwds`, which belongs to the
/// caller. `None` if it is no such context, was freed before, or is to be freed by functions of the other maker.
///
/// # Safety
/// No other thread uses the context.
pub unsafe fn destroy(context: *mut ContextHead, by: Maker) -> Option<*mut c_void> {
    let may = |found: &OwnedContext| found.maker == Maker::Dplx || found.maker == by;
    if !OWNED.get(context.cast()).is_some_and(may) {
        return None;
    }
    // SAFETY: it is alive, as the look-up has shown, and no other thread frees it (contract of this function).
    if let Some(context) = unsafe { Context::of(context) } {
        ContextCall::that_cannot_fail(context, by.function_that_frees()).destroy_pool();
    }
    OWNED.take(context.cast()).map(|mut owned| owned.head.get_mut().cwds.cast())
}

fn host_list(
    hosts: &HostList,
    timeout: Duration,
    mut warn: impl FnMut(String),
) -> Result<*mut AddrListHead, String> {
    let authorities = hosts.authorities(&mut warn)?;
    let made = AddrList::create(hosts.default_port).map_err(|error| error.to_string())?;
    let list = AddrList::of(made).ok_or("out of memory")?;
    list.add_profile(authorities, timeout, |unresolved| warn(unresolved.warning())).map_err(|error| {
        AddrList::free(made);
        match error {
            AddError::Lookup(unresolved) => unresolved.to_string(),
            AddError::OutOfMemory => "out of memory".to_owned(),
        }
    })?;
    Ok(made)
}

/// Returns a context whose fields are set, except for pointers that it owns.
fn with_plain_fields(profile: &Profile) -> Context30 {
    // SAFETY: zero bytes are a valid value of each field: a number, NULL, or an unlocked mutex.
    let mut fields: Context30 = unsafe { MaybeUninit::zeroed().assume_init() };
    [fields.n_conn_buckets, fields.n_conn_max, fields.n_conn_max_hits, fields.conn_idle_time] =
        LIMITS_OF_A_NEW_CONTEXT;
    fields.max_redirects = REDIRECTS_OF_A_NEW_CONTEXT;
    fields.conn_timeout = profile.conn_timeout;
    fields.read_timeout = profile.read_timeout;
    fields.write_timeout = profile.write_timeout;
    fields.use_https = profile.use_https.into();
    fields.blacklist_expiretime = profile.blacklist_expiretime;
    fields.aws_auth_sign_version = profile.aws_auth_sign_version;
    let region = profile.aws_region.to_bytes_with_nul();
    fields.aws_region[..region.len()].copy_from_slice(region);
    fields.cert_verif = profile.cert_verif.into();
    fields.ssl_comp = profile.ssl_comp.into();
    fields.ssl_method = any_method();
    fields.trace_level = trace_variable("DPL_TRACE_LEVEL") as c_uint;
    fields.trace_buffers = trace_variable("DPL_TRACE_BUFFERS") as c_int;
    fields.trace_binary = trace_variable("DPL_TRACE_BINARY") as c_int;
    fields.read_buf_size = profile.read_buf_size;
    fields.encode_slashes = profile.encode_slashes.into();
    fields.empty_folder_emulation = profile.empty_folder_emulation.into();
    fields.keep_alive = profile.keep_alive.into();
    fields.url_encoding = profile.url_encoding.into();
    fields.preserve_root_path = profile.preserve_root_path.into();
    fields.enterprise_number = profile.enterprise_number;
    fields.backend = backend_head(&profile.backend);
    fields.header_size = profile.header_size;
    fields
}

impl Context30 {
    fn set_strings(&mut self, profile: &Profile) -> Result<(), Error> {
        let copy = |text: &Option<CString>| match text {
            Some(text) => duplicate(text).map(|copy| copy.into_raw()),
            None => Ok(ptr::null_mut()),
        };
        self.base_path = duplicate(&profile.base_path)?.into_raw();
        self.access_key = copy(&profile.access_key)?;
        self.secret_key = copy(&profile.secret_key)?;
        self.ssl_cert_file = copy(&profile.ssl_cert_file)?;
        self.ssl_key_file = copy(&profile.ssl_key_file)?;
        self.ssl_password = copy(&profile.ssl_password)?;
        self.ssl_ca_list = copy(&profile.ssl_ca_list)?;
        self.ssl_crl_list = copy(&profile.ssl_crl_list)?;
        self.ssl_cipher_list = duplicate(&profile.ssl_cipher_list)?.into_raw();
        self.pricing = copy(&profile.pricing)?;
        self.encrypt_key = copy(&profile.encrypt_key)?;
        self.cur_bucket = duplicate(c"")?.into_raw();
        self.droplet_dir = duplicate(&profile.droplet_dir)?.into_raw();
        self.profile_name = duplicate(&profile.profile_name)?.into_raw();
        self.pricing_dir = copy(&profile.pricing_dir)?;
        Ok(())
    }
}

impl Drop for OwnedContext {
    fn drop(&mut self) {
        let fields = self.head.get_mut();
        // SAFETY: NULL, or an SSL_CTX that the context holds.
        drop(unsafe { take_back_context(fields.ssl_ctx) });
        AddrList::free(fields.addrlist);
        let strings = [
            fields.base_path,
            fields.access_key,
            fields.secret_key,
            fields.ssl_cert_file,
            fields.ssl_key_file,
            fields.ssl_password,
            fields.ssl_ca_list,
            fields.ssl_crl_list,
            fields.ssl_cipher_list,
            fields.pricing,
            fields.encrypt_key,
            fields.cur_bucket,
            fields.droplet_dir,
            fields.profile_name,
            fields.pricing_dir,
        ];
        for text in strings {
            // SAFETY: NULL or a block from malloc(3), which C may replace only by such a block.
            unsafe { libc::free(text.cast()) };
        }
    }
}

/// Reads a number in C's notation from an environment variable; 0 if there is none.
fn trace_variable(name: &str) -> i64 {
    let text = env::var(name).unwrap_or_default();
    let (digits, base) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text.as_str(), 10),
    };
    i64::from_str_radix(digits, base).unwrap_or(0)
}
