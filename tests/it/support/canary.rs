//! What must never be seen outside: tokens, secrets and passwords that tests register here are looked for in every
//! answer and in the whole log.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

static SECRETS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Registers a secret and gives it back.
pub(crate) fn secret(text: impl Into<String>) -> String {
    let text = text.into();
    // The signature is as good as the token, and a part of a token must not be seen either.
    let mut secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    match text.rsplit_once('.') {
        Some((_, signature)) if signature.len() > 16 => secrets.insert(signature.to_owned()),
        _ => secrets.insert(text.clone()),
    };
    text
}

/// Fails if a registered secret stands in `text`.
#[track_caller]
pub(crate) fn assert_none_in(what: &str, text: &str) {
    let secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    for secret in secrets.iter() {
        if let Some(at) = text.find(secret.as_str()) {
            let start = text[..at].rfind('\n').map_or(0, |line| line + 1);
            let end = text[at..].find('\n').map_or(text.len(), |line| at + line);
            drop(secrets);
            panic!("a secret stands in {what}: {}", &text[start..end]);
        }
    }
}
