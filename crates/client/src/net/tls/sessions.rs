//! Sessions to resume.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use foreign_types_shared::ForeignType;
use openssl::ssl::{SslContext, SslSession, SslVerifyMode, SslVersion};

use crate::os::clock::Moment;
use crate::os::fork;
use crate::os::libssl::{self, Verification, with_its_locks};
use crate::os::lock::Lock;

/// Sessions kept for one name: as many new connections at once can resume.
const SESSIONS: usize = 16;

/// The time for which a server is offered no session after two failures that a session caused. Failures further
/// apart than that are not counted together.
pub const PAUSE: Duration = Duration::from_secs(600);

/// The context and the verification that a session was made under. It serves under no other: no certificate is
/// verified when it is resumed.
pub struct Basis {
    /// Held, so that its address stays its own.
    context: SslContext,
    verification: Verification,
}

impl Basis {
    /// The basis of a connection that this context makes now.
    pub fn of(context: &SslContext) -> Basis {
        Basis { context: context.clone(), verification: Verification::of(context) }
    }

    /// Whether and how certificates were verified.
    pub fn verify_mode(&self) -> SslVerifyMode {
        self.verification.mode()
    }
}

impl PartialEq for Basis {
    fn eq(&self, other: &Basis) -> bool {
        self.context.as_ptr() == other.context.as_ptr() && self.verification == other.verification
    }
}

/// Sessions of one name that new connections can resume.
#[derive(Default)]
pub struct Sessions {
    state: Lock<State>,
}

#[derive(Default)]
struct State {
    kept: Kept,
    /// When an offered session last made a server fail.
    refused_at: Option<Moment>,
    /// The end of the time in which none is offered.
    paused_until: Moment,
    /// A message that is not logged yet.
    notice: Option<String>,
}

#[derive(Default)]
struct Kept {
    newest_last: VecDeque<SslSession>,
    basis: Option<Basis>,
    /// The process they belong to.
    forks: u32,
}

impl Kept {
    fn are_made_under(&self, basis: &Basis) -> bool {
        self.forks == fork::generation() && self.basis.as_ref() == Some(basis)
    }

    /// The newest. A ticket of TLS 1.3 serves once (RFC 8446, appendix C.4), others again. Those whose connection
    /// failed cannot be resumed any more, and are added to the unwanted.
    fn take(&mut self, unwanted: &mut VecDeque<SslSession>) -> Option<SslSession> {
        let newest = self.newest_last.iter().rposition(|session| libssl::is_resumable(session));
        *unwanted = self.newest_last.split_off(newest.map_or(0, |place| place + 1));
        let newest = self.newest_last.pop_back()?;
        if newest.protocol_version() != SslVersion::TLS1_3 {
            self.newest_last.push_back(newest.clone());
        }
        Some(newest)
    }
}

impl Sessions {
    /// Keeps a session, in place of the oldest if there are many.
    pub fn put(&self, session: SslSession, basis: Basis) {
        let mut state = self.state.lock();
        let mut unwanted = Kept::default();
        if !state.kept.are_made_under(&basis) {
            let fresh = Kept { basis: Some(basis), forks: fork::generation(), ..Kept::default() };
            unwanted = mem::replace(&mut state.kept, fresh);
        }
        let kept = &mut state.kept.newest_last;
        let surplus = if kept.len() >= SESSIONS { kept.pop_front() } else { None };
        kept.push_back(session);
        drop(state);
        discard((unwanted, surplus));
    }

    /// A session to offer on a connection that is made under the same.
    pub fn take(&self, basis: &Basis) -> Option<SslSession> {
        let now = Moment::now();
        let mut state = self.state.lock();
        let (mut unwanted, mut taken) = (Kept::default(), None);
        if state.kept.are_made_under(basis) && state.paused_until <= now {
            taken = state.kept.take(&mut unwanted.newest_last);
        } else {
            unwanted = mem::take(&mut state.kept);
        }
        drop(state);
        discard(unwanted);
        taken
    }

    /// Forgets all: a connection that was offered one failed.
    pub fn clear(&self) {
        let unwanted = mem::take(&mut self.state.lock().kept);
        discard(unwanted);
    }

    /// A connection failed because it was offered a session. A second time soon after, none is offered for a
    /// while.
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
                "fails when a TLS session is offered ({reason}): none is for {} s",
                PAUSE.as_secs()
            ));
        }
    }

    /// Takes the message for the log, if there is one.
    pub fn take_notice(&self) -> Option<String> {
        self.state.lock().notice.take()
    }
}

/// Drops what is OpenSSL's, which takes locks of its.
fn discard<T>(unwanted: T) {
    with_its_locks(|| drop(unwanted));
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
    fn a_basis_is_a_context_and_how_it_verifies() {
        let context = context().build();
        assert!(Basis::of(&context) == Basis::of(&context));
        assert!(Basis::of(&context) != Basis::of(&super::tests::context().build()));
        let before = Basis::of(&context);
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
    fn the_second_refusal_within_a_while_makes_a_pause() {
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
    fn refusals_far_apart_make_none() {
        let (sessions, begin) = (Sessions::default(), Moment::now());
        for nth in 0..3 {
            let at = begin.after(PAUSE * nth);
            sessions.refused_at(at, "alert");
            assert!(!is_paused(&sessions, at));
        }
        assert!(sessions.take_notice().is_none());
    }
}
