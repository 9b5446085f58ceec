//! Integration tests: one binary, one module per subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says by panicking what went wrong"
)]

mod accounts;
mod auth;
mod browser;
mod claims;
mod commands;
mod demo;
mod directory_faults;
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
mod litmus;
mod logout;
mod memory;
mod numbered;
mod paths;
mod policies;
mod public_paths;
mod reload;
mod services;
mod sessions;
mod several_issuers;
mod support;
mod sync_clients;
mod tls;
mod token_policies;
mod transfers;
mod traps;
mod way_back;
mod way_to_the_issuer;
mod with_directory;
mod with_glewlwyd;
mod with_oidc_provider;
