//! Sessions to resume.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

use crate::fork;
use crate::lock::Lock;
use openssl::ssl::{SslSession, SslVersion};

/// Sessions kept for one name: as many new connections at once can resume.
const SESSIONS: usize = 16;

/// A session, and the process that it belongs to.
struct Kept {
    session: SslSession,
    forks: u32,
}

/// Sessions of one name that new connections can resume.
#[derive(Default)]
pub struct Sessions {
    newest_last: Lock<VecDeque<Kept>>,
}

impl Sessions {
    /// Keeps a session, in place of the oldest if there are many.
    pub fn put(&self, session: SslSession) {
        let session = Kept { session, forks: fork::generation() };
        let mut sessions = self.newest_last.lock();
        let surplus = (sessions.len() >= SESSIONS).then(|| sessions.pop_front());
        sessions.push_back(session);
        drop(sessions);
        drop(surplus);
    }

    /// A session to resume. A ticket of TLS 1.3 serves once (RFC 8446, appendix C.4), others again.
    pub fn take(&self) -> Option<SslSession> {
        let mut sessions = self.newest_last.lock();
        let Kept { session: newest, forks } = sessions.pop_back()?;
        if forks != fork::generation() {
            // Those of a parent are the parent's: it uses them too.
            let parents = std::mem::take(&mut *sessions);
            drop(sessions);
            drop((newest, parents));
            return None;
        }
        if newest.protocol_version() != SslVersion::TLS1_3 {
            sessions.push_back(Kept { session: newest.clone(), forks });
        }
        Some(newest)
    }
}
