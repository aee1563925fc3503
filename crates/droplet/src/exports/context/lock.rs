//! The lock of a context, which only programs take.

use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering};

use libc::c_int;

use droplet_conn::abi::layout::Context30;
use droplet_conn::exports::{dpl_ctx_t, guard, refuse};

/// Takes a context's lock, for programs that change several of its fields at once. No function of this
/// library takes it.
///
/// @param ctx the context
///
/// # Safety
/// `ctx` is NULL or points to a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_ctx_lock(ctx: *mut dpl_ctx_t) {
    with_lock(ctx, c"dpl_ctx_lock", |lock, canary| {
        // SAFETY: the mutex of a live context.
        if unsafe { libc::pthread_mutex_lock(lock) } == 0 {
            canary.store(1, Ordering::Relaxed);
        }
    });
}

/// Gives a context's lock back.
///
/// @param ctx the context, whose lock the calling thread has
///
/// # Safety
/// `ctx` is NULL or points to a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_ctx_unlock(ctx: *mut dpl_ctx_t) {
    with_lock(ctx, c"dpl_ctx_unlock", |lock, canary| {
        canary.store(0, Ordering::Relaxed);
        // SAFETY: the mutex of a live context.
        unsafe { libc::pthread_mutex_unlock(lock) };
    });
}

/// `canary` is 1 while the lock is held.
fn with_lock(
    ctx: *mut dpl_ctx_t,
    function: &'static CStr,
    body: impl FnOnce(*mut libc::pthread_mutex_t, &AtomicI32),
) {
    guard(function, (), || {
        if ctx.is_null() {
            return refuse(None, function, "the context is NULL");
        }
        let context = ctx.cast::<Context30>();
        // SAFETY: the caller's promise to the exported function; the canary is written under the lock only.
        unsafe {
            body(&raw mut (*context).lock, AtomicI32::from_ptr(&raw mut (*context).canary as *mut c_int))
        }
    })
}
