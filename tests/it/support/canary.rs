//! What must never be seen outside: tokens, secrets and passwords that tests register here are looked for in every
//! answer and in the whole log.
//!
//! A run registers thousands and looks through megabytes, so a text is gone through once, whatever their number.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock};

static SECRETS: RwLock<Option<Secrets>> = RwLock::new(None);

/// How far the log was looked through.
static LOOKED: Mutex<u64> = Mutex::new(0);

/// Secrets are found by so many of their first bytes.
const KEY: usize = 16;

#[derive(Default)]
struct Secrets {
    /// Of letters, digits, `-` and `_` alone, as signatures are, by their first bytes.
    words: HashMap<[u8; KEY], BTreeSet<String>>,
    /// All others.
    rest: BTreeSet<String>,
}

impl Secrets {
    fn insert(&mut self, secret: &str) {
        let key = secret.as_bytes().first_chunk::<KEY>();
        match key.filter(|_| secret.bytes().all(is_of_a_word)) {
            Some(key) => self
                .words
                .entry(*key)
                .or_default()
                .insert(secret.to_owned()),
            None => self.rest.insert(secret.to_owned()),
        };
    }

    /// Where the first one begins.
    fn find(&self, text: &str) -> Option<usize> {
        let in_words = || {
            let mut start = 0;
            text.as_bytes()
                .split(|byte| !is_of_a_word(*byte))
                .find_map(|word| {
                    let begin = start;
                    start += word.len() + 1;
                    self.in_word(word).map(|at| begin + at)
                })
        };
        self.rest
            .iter()
            .find_map(|secret| text.find(secret.as_str()))
            .or_else(in_words)
    }

    fn in_word(&self, word: &[u8]) -> Option<usize> {
        (0..(word.len() + 1).saturating_sub(KEY)).find(|at| {
            let rest = &word[*at..];
            let key = rest.first_chunk::<KEY>();
            key.and_then(|key| self.words.get(key))
                .is_some_and(|all| all.iter().any(|secret| rest.starts_with(secret.as_bytes())))
        })
    }
}

fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Registers a secret and gives it back.
pub(crate) fn secret(text: impl Into<String>) -> String {
    let text = text.into();
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    let secrets = secrets.get_or_insert_default();
    // The signature is as good as the token, and a part of a token must not be seen either.
    match text.rsplit_once('.') {
        Some((_, signature)) if signature.len() > 16 => secrets.insert(signature),
        _ => secrets.insert(&text),
    }
    text
}

/// Fails if a registered secret stands in `text`.
#[track_caller]
pub(crate) fn assert_none_in(what: &str, text: &str) {
    let secrets = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
    let found = secrets.as_ref().and_then(|secrets| secrets.find(text));
    if let Some(at) = found {
        let start = text[..at].rfind('\n').map_or(0, |line| line + 1);
        let end = text[at..].find('\n').map_or(text.len(), |line| at + line);
        drop(secrets);
        panic!("a secret stands in {what}: {}", &text[start..end]);
    }
}

/// Fails if a registered secret stands in what was written to this file since the last look.
#[track_caller]
pub(crate) fn assert_none_in_log(file: &Path) {
    let mut looked = LOOKED.lock().unwrap_or_else(PoisonError::into_inner);
    let new = written_since(file, *looked);
    *looked += new.len() as u64;
    assert_none_in("the log", &new);
}

/// The lines of a file from there on, without one that is being written.
pub(crate) fn written_since(file: &Path, start: u64) -> String {
    let mut new = Vec::new();
    let mut file = File::open(file).unwrap();
    file.seek(SeekFrom::Start(start)).unwrap();
    file.read_to_end(&mut new).unwrap();
    let end = new.iter().rposition(|byte| *byte == b'\n');
    new.truncate(end.map_or(0, |at| at + 1));
    String::from_utf8(new).unwrap()
}

#[test]
fn a_secret_is_found_wherever_it_stands() {
    let mut secrets = Secrets::default();
    for secret in ["a-signature-of-a-token_0", "pass word", "short"] {
        secrets.insert(secret);
    }
    for (text, at) in [
        ("x=a-signature-of-a-token_0", Some(2)),
        ("xxa-signature-of-a-token_0yy", Some(2)),
        ("é \"a-signature-of-a-token_0\"", Some(4)),
        ("a-signature-of-a-token_", None),
        ("the pass word", Some(4)),
        ("shortly", Some(0)),
        ("", None),
    ] {
        assert_eq!(secrets.find(text), at, "{text}");
    }
}
