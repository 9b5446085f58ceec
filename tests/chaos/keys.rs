//! F4: an issuer that changes its keys, every 90 seconds of the injected clock.

use super::load::{burst, with_status};
use super::report::{exactly, row};
use super::support::issuer::Endpoint;
use super::support::keys::Key;
use super::support::now;
use super::support::world::World;

const ROTATIONS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f04_keys_that_change() {
    let world = World::token_only().await;
    world.issuer.rotate(Key::new("key-0", "ES256"), false);
    let mut shift = 0;
    let token = |shift: i64| {
        let token = world.issuer.token("mara").claim("iat", now() + shift);
        token.expires_in(300).sign()
    };
    burst(world.gateway.addr, &[token(0)]).await;
    let calls = world.issuer.calls(Endpoint::Jwks);
    let mut samples = Vec::new();
    for number in 1..=ROTATIONS {
        world.gateway.clock.advance(90);
        shift += 90;
        world
            .issuer
            .rotate(Key::new(&format!("key-{number}"), "ES256"), false);
        let tokens: Vec<_> = (0..50).map(|_| token(shift)).collect();
        samples.extend(burst(world.gateway.addr, &tokens).await);
    }
    exactly(
        "F4",
        "2xx of tokens of the newest key, 40 rotations",
        with_status(&samples, 200),
        samples.len(),
    );
    let calls = world.issuer.calls(Endpoint::Jwks) - calls;
    row(
        "F4",
        "fetches of the keys",
        &calls.to_string(),
        "40",
        calls == ROTATIONS,
    );
    let old = world
        .issuer
        .token("mara")
        .by(&Key::new("key-1", "ES256"))
        .claim("iat", now() + shift);
    let refused = burst(world.gateway.addr, &[old.expires_in(300).sign()]).await[0].status;
    row(
        "F4",
        "a token of a key that was taken away",
        &refused.to_string(),
        "401 or 503",
        refused != 200,
    );
    assert_ne!(refused, 200);
}
