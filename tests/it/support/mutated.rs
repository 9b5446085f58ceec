//! Good tokens of every algorithm, changed here and there, and which of them are still accepted. Read by the comparison with
//! each other library.

use std::cell::RefCell;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use davgate::door::auth::PublicKeys;
use davgate::door::credentials::BearerToken;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

/// A key, and a good token of it.
pub(crate) struct Subject {
    /// Without `alg`, so that a key is whatever a token's header says it is, as far as its type allows.
    pub(crate) jwk: Value,
    pub(crate) algorithm: String,
    pub(crate) token: String,
    own: PublicKeys,
}

/// Keys of the benches; nobody has kept their private halves.
pub(crate) static SUBJECTS: LazyLock<Vec<Subject>> = LazyLock::new(|| {
    let entries: Vec<Value> =
        serde_json::from_str(include_str!("../../../benches/micro/tokens.json")).unwrap();
    let subject = |entry: Value| {
        let mut jwk = entry["key"].as_object().unwrap().clone();
        let algorithm = jwk.remove("alg").unwrap();
        let jwk = Value::Object(jwk);
        let set = json!({"keys": [jwk]}).to_string();
        Subject {
            own: PublicKeys::parse(set.as_bytes()).unwrap(),
            jwk,
            algorithm: algorithm.as_str().unwrap().to_owned(),
            token: entry["token"].as_str().unwrap().to_owned(),
        }
    };
    entries.into_iter().map(subject).collect()
});

/// A token that davgate accepts by its signature, and the claims it reads from it.
pub(crate) type Accepted = (&'static Subject, String, Map<String, Value>);

/// What davgate reads from the token, if it accepts it.
pub(crate) fn ours(subject: &Subject, token: &str) -> Option<Map<String, Value>> {
    let token = BearerToken::new(token);
    subject.own.verify(&token).ok().map(|claims| claims.0)
}

/// Mutates good tokens so often, or as often as `PROPTEST_CASES` says if that is more; answers those that are still accepted.
#[expect(clippy::print_stdout, reason = "the figure of `make chaos`")]
pub(crate) fn accepted_of(cases: u32) -> Vec<Accepted> {
    let accepted: RefCell<Vec<_>> = RefCell::default();
    let strategy = (0..SUBJECTS.len(), prop::collection::vec(mutation(), 1..4));
    let cases = ProptestConfig::default().cases.max(cases);
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    };
    let run = TestRunner::new(config).run(&strategy, |(subject, mutations)| {
        let subject = &SUBJECTS[subject];
        let mutate = |token: String, m| mutate(&token, m);
        let token = mutations.iter().fold(subject.token.clone(), mutate);
        if let Some(claims) = ours(subject, &token) {
            accepted.borrow_mut().push((subject, token, claims));
        }
        Ok(())
    });
    run.unwrap();
    let accepted = accepted.into_inner();
    println!(
        "{cases} mutated tokens, {} of them still good",
        accepted.len()
    );
    accepted
}

/// The tokens as they were, so that the other library is seen to read them.
pub(crate) fn unchanged() -> Vec<Accepted> {
    let good = |subject: &'static Subject| {
        let claims = ours(subject, &subject.token).unwrap();
        (subject, subject.token.clone(), claims)
    };
    SUBJECTS.iter().map(good).collect()
}

/// One change of a token.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(usize, u8),
    Insert(usize, char),
    Remove(usize, usize),
    Swap(usize, usize),
    Header(&'static str),
    AnothersPart(usize, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<usize>(), 1_u8..64).prop_map(|(at, by)| Mutation::Flip(at, by)),
        (
            any::<usize>(),
            prop::sample::select(vec![
                '.', '=', '+', '/', '-', '_', 'A', ' ', '\n', '\0', 'é'
            ])
        )
            .prop_map(|(at, c)| Mutation::Insert(at, c)),
        (any::<usize>(), 1_usize..8).prop_map(|(at, n)| Mutation::Remove(at, n)),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        prop::sample::select(vec![
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"PS256"}"#,
            r#"{"alg":"ES256"}"#,
            r#"{"alg":"EdDSA"}"#,
            r#"{"alg":"RS256","alg":"none"}"#,
            r#"{}"#,
            "[]",
        ])
        .prop_map(Mutation::Header),
        (any::<usize>(), 0_usize..3).prop_map(|(from, part)| Mutation::AnothersPart(from, part)),
    ]
}

fn mutate(token: &str, mutation: &Mutation) -> String {
    let mut chars: Vec<char> = token.chars().collect();
    let length = chars.len().max(1);
    match *mutation {
        Mutation::Flip(at, by) if !chars.is_empty() => {
            let c = &mut chars[at % length];
            *c = char::from((*c as u32 as u8) ^ by);
        }
        Mutation::Insert(at, c) => chars.insert(at % length, c),
        Mutation::Remove(at, n) => {
            let at = at % length;
            chars.drain(at..(at + n).min(chars.len()));
        }
        Mutation::Swap(a, b) if !chars.is_empty() => chars.swap(a % length, b % length),
        Mutation::Header(header) => {
            let rest = token.split_once('.').map_or("", |(_, rest)| rest);
            return format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
        }
        Mutation::AnothersPart(from, part) => {
            let other = &SUBJECTS[from % SUBJECTS.len()].token;
            let mut parts: Vec<&str> = token.split('.').collect();
            if let (Some(mine), Some(foreign)) = (parts.get_mut(part), other.split('.').nth(part)) {
                *mine = foreign;
            }
            return parts.join(".");
        }
        _ => {}
    }
    chars.into_iter().collect()
}
