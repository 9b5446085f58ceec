//! Integration tests that need nothing installed, one module per subject: `cargo test` runs them. What needs servers and
//! clients of others is in real.rs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says by panicking what went wrong"
)]

mod answers;
mod auth;
mod checklist;
mod claims;
mod commands;
mod defects;
mod demo;
mod deploy;
mod deployment;
mod descriptors;
mod differential;
mod discovery;
mod dpop;
mod drain;
mod explain;
mod fixtures;
mod forwarding;
mod headers;
mod heads;
mod identity;
mod layering;
mod logout;
mod memory;
mod methods;
mod mistakes;
mod mistakes_listed;
mod numbered;
mod on_call;
mod pages;
mod passwords;
mod paths;
mod policies;
mod provider_pages;
mod public_paths;
mod releases;
mod reload;
mod service_manager;
mod sessions;
mod several_issuers;
#[allow(dead_code, reason = "real.rs uses the rest of it")]
mod support;
mod targets;
mod tls;
mod token_policies;
mod traces;
mod transfers;
mod traps;
mod uploads;
mod way_back;
mod way_to_the_issuer;
