//! Mutated tokens, verified here, by `jsonwebtoken` and by the `jose` of npm: what one of them refuses is never accepted
//! here.

use std::cell::RefCell;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use super::fake_issuer::{NOW, Signer};
use super::jwk::Key;
use super::jws::Jws;

/// A key, both ways of reading it, and a good token of it.
struct Subject {
    jwk: Value,
    own: Key,
    other: DecodingKey,
    algorithms: Vec<Algorithm>,
    token: String,
}

static SUBJECTS: LazyLock<Vec<Subject>> = LazyLock::new(|| {
    let rsa = vec![
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ];
    [
        ("RS256", Signer::rsa(), rsa.clone()),
        ("PS256", Signer::rsa(), rsa),
        ("ES256", Signer::ec(), vec![Algorithm::ES256]),
        ("EdDSA", Signer::ed(), vec![Algorithm::EdDSA]),
    ]
    .into_iter()
    .map(|(alg, signer, algorithms)| {
        let jwk = signer.jwk("k1", &json!({}));
        let parsed: Jwk = serde_json::from_value(jwk.clone()).unwrap();
        let claims = json!({"iss": "https://idp.test", "sub": "s", "exp": NOW, "roles": ["a", {"b": [1.5, null]}]});
        Subject {
            jwk: jwk.clone(),
            own: Key::parse(&jwk).unwrap(),
            other: DecodingKey::from_jwk(&parsed).unwrap(),
            algorithms,
            token: signer.sign(&json!({"alg": alg, "typ": "JWT", "kid": "k1"}), &claims),
        }
    })
    .collect()
});

fn ours(subject: &Subject, token: &str) -> Option<Map<String, Value>> {
    let jws = Jws::parse(token).ok()?;
    jws.verify(&[&subject.own]).ok()?;
    jws.claims().ok()
}

fn theirs(subject: &Subject, token: &str) -> Option<Map<String, Value>> {
    let mut validation = Validation::new(subject.algorithms[0]);
    validation.algorithms = subject.algorithms.clone();
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    decode(token, &subject.other, &validation)
        .ok()
        .map(|data| data.claims)
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

#[test]
fn the_unchanged_tokens_are_accepted_by_both_alike() {
    for subject in SUBJECTS.iter() {
        let claims = ours(subject, &subject.token);
        assert!(claims.is_some());
        assert_eq!(claims, theirs(subject, &subject.token));
    }
}

#[test]
fn what_jsonwebtoken_refuses_is_never_accepted() {
    accepted_of(ProptestConfig::default().cases.max(2_000));
}

/// 10,000 mutations, or as many as `PROPTEST_CASES` says if that is more.
#[test]
#[ignore = "needs Node; `make test` runs it"]
fn what_jsonwebtoken_or_jose_refuses_is_never_accepted() {
    let cases = ProptestConfig::default().cases.max(10_000);
    let mut accepted = accepted_of(cases);
    println!(
        "{cases} mutated tokens, {} of them still good",
        accepted.len()
    );
    // The good ones too, so that the other library is seen to read them.
    for subject in SUBJECTS.iter() {
        let claims = ours(subject, &subject.token).unwrap();
        accepted.push((subject, subject.token.clone(), claims));
    }
    let answers = jose(
        accepted
            .iter()
            .map(|(subject, token, _)| (*subject, &**token)),
    );
    assert_eq!(answers.len(), accepted.len());
    for ((_, token, claims), answer) in accepted.into_iter().zip(answers) {
        assert_eq!(Value::Object(claims), answer, "{token}");
    }
}

/// Mutates good tokens so often, and compares each with what `jsonwebtoken` says; answers those that are still good.
fn accepted_of(cases: u32) -> Vec<(&'static Subject, String, Map<String, Value>)> {
    let accepted: RefCell<Vec<_>> = RefCell::default();
    let strategy = (0_usize..4, prop::collection::vec(mutation(), 1..4));
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    };
    let checked = TestRunner::new(config).run(&strategy, |(subject, mutations)| {
        let subject = &SUBJECTS[subject];
        let mutate = |token: String, m| mutate(&token, m);
        let token = mutations.iter().fold(subject.token.clone(), mutate);
        if let Some(claims) = ours(subject, &token) {
            prop_assert_eq!(Some(claims.clone()), theirs(subject, &token));
            accepted.borrow_mut().push((subject, token, claims));
        }
        Ok(())
    });
    checked.unwrap();
    accepted.into_inner()
}

/// What `jose` says of each token: its claims, or null.
fn jose<'a>(tokens: impl Iterator<Item = (&'a Subject, &'a str)>) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oidc-provider/jose.mjs");
    let mut child = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("node: {error}; run `make tools`"));
    let lines: String = tokens
        .map(|(subject, token)| format!("{}\n", json!({"jwk": subject.jwk, "token": token})))
        .collect();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "jose.mjs failed: run `make tools`");
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers = answers.lines().map(serde_json::from_str);
    answers.collect::<Result<_, _>>().unwrap()
}
