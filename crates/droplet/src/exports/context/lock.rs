//! The lock of a context. Only programs take it.

use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering};

use libc::c_int;

use droplet_conn::abi::layout::Context30;
use droplet_conn::exports::{dpl_ctx_t, guard, refuse};

/// Takes a context's lock, so that a program can change several fields at once. No function of this library
/// takes it.
///
/// @param ctx the context
///
/// # Safety
/// `ctx` is NULL or points to a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_ctx_lock(ctx: *mut dpl_ctx_t) {
    let take = |lock: *mut libc::pthread_mutex_t, canary: &AtomicI32| {
        // SAFETY: `lock` is the mutex of a context that is alive (with_lock).
        if unsafe { libc::pthread_mutex_lock(lock) } == 0 {
            canary.store(1, Ordering::Relaxed);
        }
    };
    // SAFETY: `ctx` is NULL or points to a context (contract of this function).
    unsafe { with_lock(ctx, c"dpl_ctx_lock", take) }
}

/// Releases a context's lock.
///
/// @param ctx the context, whose lock the calling thread holds
///
/// # Safety
/// `ctx` is NULL or points to a context, whose lock the calling thread holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_ctx_unlock(ctx: *mut dpl_ctx_t) {
    let release = |lock: *mut libc::pthread_mutex_t, canary: &AtomicI32| {
        canary.store(0, Ordering::Relaxed);
        // SAFETY: `lock` is the mutex of a context that is alive (with_lock), and this thread holds it.
        unsafe { libc::pthread_mutex_unlock(lock) };
    };
    // SAFETY: `ctx` is NULL or points to a context (contract of this function).
    unsafe { with_lock(ctx, c"dpl_ctx_unlock", release) }
}

/// Calls `body` with the lock of a context, and with its `canary`, which is 1 while the lock is held.
///
/// # Safety
/// `ctx` is NULL or points to a context.
unsafe fn with_lock(
    ctx: *mut dpl_ctx_t,
    function: &'static CStr,
    body: impl FnOnce(*mut libc::pthread_mutex_t, &AtomicI32),
) {
    guard(function, (), || {
        if ctx.is_null() {
            return refuse(None, function, "the context is NULL");
        }
        let context = ctx.cast::<Context30>();
        // SAFETY: `ctx` is NULL or points to a context (contract of this function). `canary` is an
        // aligned int that is only accessed atomically.
        unsafe {
            body(&raw mut (*context).lock, AtomicI32::from_ptr(&raw mut (*context).canary as *mut c_int))
        }
    })
}
