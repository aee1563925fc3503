//! A cache of TLS sessions to resume.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use foreign_types_shared::ForeignType;
use openssl::ssl::{SslContext, SslSession, SslVerifyMode, SslVersion};

use crate::os::clock::Moment;
use crate::os::fork;
use crate::os::libssl::{self, Verification, in_tls_step};
use crate::os::lock::Lock;

/// The largest number of sessions in a cache, so of new connections at the same time that can resume one.
const MAX_SESSIONS: usize = 16;

/// The time in which a server is offered no session after sessions have caused two failures. It is also the longest
/// time between these two.
pub const PAUSE: Duration = Duration::from_secs(600);

/// The `SSL_CTX` of a session, and the way it verified certificates. The session must not be resumed with another
/// one, since no certificate is verified then.
pub struct Scope {
    /// A reference, so that no other `SSL_CTX` gets the same address.
    context: SslContext,
    verification: Verification,
}

impl Scope {
    /// Returns the scope of a connection that this context makes now.
    pub fn of(context: &SslContext) -> Scope {
        Scope { context: context.clone(), verification: Verification::of(context) }
    }

    /// Returns the verify mode.
    pub fn verify_mode(&self) -> SslVerifyMode {
        self.verification.mode()
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Scope) -> bool {
        self.context.as_ptr() == other.context.as_ptr() && self.verification == other.verification
    }
}

/// The sessions of one host name that new connections can resume.
#[derive(Default)]
pub struct Sessions {
    state: Lock<State>,
}

#[derive(Default)]
struct State {
    cache: Cache,
    /// The time of the last failure that an offered session has caused.
    refused_at: Option<Moment>,
    /// The end of the time in which no session is offered.
    paused_until: Moment,
    /// A message that is to be logged.
    notice: Option<String>,
}

/// A session, shared so that nobody calls OpenSSL while the cache is locked.
struct Saved {
    session: SslSession,
    /// True for TLS 1.3, where a ticket serves once (RFC 8446, appendix C.4).
    serves_once: bool,
}

#[derive(Default)]
struct Cache {
    newest_last: VecDeque<Arc<Saved>>,
    scope: Option<Scope>,
    /// The process that has made them, by [`fork::generation`].
    forks: u32,
}

impl Cache {
    fn has_scope(&self, scope: &Scope) -> bool {
        self.forks == fork::generation() && self.scope.as_ref() == Some(scope)
    }

    /// Returns the newest session. One that serves once is removed.
    fn take(&mut self) -> Option<Arc<Saved>> {
        let newest = self.newest_last.back()?;
        if newest.serves_once { self.newest_last.pop_back() } else { Some(Arc::clone(newest)) }
    }
}

impl Sessions {
    /// Adds a session. A full cache drops the oldest one.
    pub fn put(&self, session: SslSession, scope: Scope) {
        let serves_once = session.protocol_version() == SslVersion::TLS1_3;
        let saved = Arc::new(Saved { session, serves_once });
        let mut state = self.state.lock();
        let mut unwanted = Cache::default();
        if !state.cache.has_scope(&scope) {
            let fresh = Cache { scope: Some(scope), forks: fork::generation(), ..Cache::default() };
            unwanted = mem::replace(&mut state.cache, fresh);
        }
        let sessions = &mut state.cache.newest_last;
        let surplus = if sessions.len() >= MAX_SESSIONS { sessions.pop_front() } else { None };
        sessions.push_back(saved);
        drop(state);
        discard((unwanted, surplus));
    }

    /// Returns a session to offer on a new connection of this scope.
    pub fn take(&self, scope: &Scope) -> Option<SslSession> {
        let now = Moment::now();
        loop {
            let mut state = self.state.lock();
            if !state.cache.has_scope(scope) || state.paused_until > now {
                let unwanted = mem::take(&mut state.cache);
                drop(state);
                discard(unwanted);
                return None;
            }
            let newest = state.cache.take();
            drop(state);
            let newest = newest?;
            if libssl::is_resumable(&newest.session) {
                return Some(newest.session.clone());
            }
            self.drop_one(newest);
        }
    }

    /// Drops a session that cannot be resumed, since its connection has failed.
    fn drop_one(&self, unwanted: Arc<Saved>) {
        self.state.lock().cache.newest_last.retain(|other| !Arc::ptr_eq(other, &unwanted));
        discard(unwanted);
    }

    /// Drops all sessions.
    pub fn clear(&self) {
        let unwanted = mem::take(&mut self.state.lock().cache);
        discard(unwanted);
    }

    /// Notes that a connection has failed because a session was offered, and drops all sessions. After the second
    /// failure within [`PAUSE`] none is offered for that time.
    pub fn refused(&self, reason: &str) {
        self.refused_at(Moment::now(), reason);
    }

    fn refused_at(&self, now: Moment, reason: &str) {
        self.clear();
        let mut state = self.state.lock();
        let before = state.refused_at.replace(now);
        if before.is_some_and(|before| now.since(before) < PAUSE) && state.paused_until <= now {
            state.paused_until = now.after(PAUSE);
            state.notice = Some(format!(
                "fails when a TLS session is offered ({reason}): no session is offered for {} s",
                PAUSE.as_secs()
            ));
        }
    }

    /// Returns the message that is to be logged, once.
    pub fn take_notice(&self) -> Option<String> {
        self.state.lock().notice.take()
    }
}

/// Drops objects of OpenSSL, which locks its own locks meanwhile.
fn discard<T>(unwanted: T) {
    in_tls_step(|| drop(unwanted));
}

#[cfg(test)]
mod tests {
    use openssl::ssl::{SslContextBuilder, SslMethod};

    use super::*;

    fn context() -> SslContextBuilder {
        SslContext::builder(SslMethod::tls_client()).unwrap()
    }

    fn is_paused(sessions: &Sessions, at: Moment) -> bool {
        sessions.state.lock().paused_until > at
    }

    #[test]
    fn a_scope_is_a_context_and_its_verification() {
        let context = context().build();
        assert!(Scope::of(&context) == Scope::of(&context));
        assert!(Scope::of(&context) != Scope::of(&super::tests::context().build()));
        let before = Scope::of(&context);
        let mut other = super::tests::context();
        other.set_verify(SslVerifyMode::NONE);
        let none = Verification::of(&other.build());
        let mut other = super::tests::context();
        other.set_verify(SslVerifyMode::PEER);
        let other = other.build();
        assert_ne!(Verification::of(&other), none);
        drop(before);
    }

    #[test]
    fn a_second_refusal_soon_after_the_first_makes_a_pause() {
        let (sessions, begin) = (Sessions::default(), Moment::now());
        let later = begin.after(PAUSE / 2);
        sessions.refused_at(begin, "alert");
        assert!(!is_paused(&sessions, begin));
        sessions.refused_at(later, "alert");
        assert!(is_paused(&sessions, later) && !is_paused(&sessions, later.after(PAUSE)));
        assert!(sessions.take_notice().is_some_and(|notice| notice.contains("alert")));
        assert!(sessions.take_notice().is_none());
    }

    #[test]
    fn refusals_far_apart_make_no_pause() {
        let (sessions, begin) = (Sessions::default(), Moment::now());
        for nth in 0..3 {
            let at = begin.after(PAUSE * nth);
            sessions.refused_at(at, "alert");
            assert!(!is_paused(&sessions, at));
        }
        assert!(sessions.take_notice().is_none());
    }
}
