//! Faults at full size for this machine, each with its figure beside the wanted one (docs/design/hardening.md 4, as docs/design/design.md words
//! it): `make chaos`. A figure that is missed is shown; a broken promise (a 401, a lost byte, a second call) fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test says by panicking what went wrong, and figures are what this is for"
)]

mod backends;
mod directory;
mod drain;
mod grid;
mod issuer;
mod keycloak;
mod keys;
mod load;
mod memory;
mod new_tokens;
mod others;
mod report;
mod servers;
mod site;

#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "made for the other tests, used here in part")]
mod support;
#[path = "../it/accounts/wire.rs"]
#[allow(dead_code, reason = "made for the other tests, used here in part")]
mod wire;
