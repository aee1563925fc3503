//! Sessions to resume.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

use openssl::ssl::{SslSession, SslVersion};
use parking_lot::Mutex;

/// Sessions kept for one name: as many new connections at once can resume.
const SESSIONS: usize = 16;

/// Sessions of one name that new connections can resume.
#[derive(Default)]
pub struct Sessions {
    newest_last: Mutex<VecDeque<SslSession>>,
}

impl Sessions {
    /// Keeps a session, in place of the oldest if there are many.
    pub fn put(&self, session: SslSession) {
        let mut sessions = self.newest_last.lock();
        let surplus = (sessions.len() >= SESSIONS).then(|| sessions.pop_front());
        sessions.push_back(session);
        drop(sessions);
        drop(surplus);
    }

    /// A session to resume. A ticket of TLS 1.3 serves once (RFC 8446, appendix C.4), others again.
    pub fn take(&self) -> Option<SslSession> {
        let mut sessions = self.newest_last.lock();
        let newest = sessions.pop_back()?;
        if newest.protocol_version() != SslVersion::TLS1_3 {
            sessions.push_back(newest.clone());
        }
        Some(newest)
    }
}
