//! Mutated tokens, verified here and by the `jose` of npm: what that refuses is never accepted here.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::mutated::{Subject, accepted_of, unchanged};

#[test]
fn what_jose_refuses_is_never_accepted() {
    let mut accepted = accepted_of(10_000);
    accepted.extend(unchanged());
    let tokens = accepted.iter();
    let answers = jose(tokens.map(|(subject, token, _)| (*subject, &**token)));
    assert_eq!(answers.len(), accepted.len());
    for ((_, token, claims), answer) in accepted.into_iter().zip(answers) {
        assert_eq!(Value::Object(claims), answer, "{token}");
    }
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
    assert!(output.status.success(), "jose.mjs failed: run `make tools`");
    writer.join().unwrap().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers = answers.lines().map(serde_json::from_str);
    answers.collect::<Result<_, _>>().unwrap()
}
