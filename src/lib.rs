//! davgate: the authenticating gateway in front of file-sync backends.
//!
//! # Layout
//! A file imports only lower tiers; `tests/it/layering.rs` holds it.
//! - T0 [`model`]: accounts, claims, roles, reasons. No I/O, no HTTP.
//! - T1 [`config`]: what the operator wants, validated once.
//! - T2 [`forwarded`]: client address, scheme and host behind trusted proxies.
//! - T2 [`headers`], [`body`]: heads and bodies that may pass.
//! - T2 [`telemetry`]: log, access lines, metrics; [`client`]: calls to issuers.
//! - T2 [`cli`]: the command line.
//! - T3 [`auth`]: who sent this token; [`accounts`]: which account that is; [`roles`]: what they may; [`routes`]: where a request goes.
//! - T3 [`identity`]: what backends are told.
//! - T3 [`security_headers`]: headers of every answer.
//! - T4 [`session`]: the heart, a token set up once.
//! - T5 [`upstream`]: pools of connections to backends.
//! - T6 [`server`]: the public listener; [`admin`]: the debug listener.

pub mod accounts;
pub mod admin;
pub mod answer;
pub mod auth;
pub mod body;
pub mod cli;
pub mod client;
pub mod config;
pub mod error;
pub mod forwarded;
pub mod gateway;
pub mod headers;
pub mod identity;
pub mod local;
pub mod model;
pub mod pipeline;
pub mod process;
pub mod reload;
pub mod roles;
pub mod routes;
pub mod security_headers;
pub mod server;
pub mod session;
pub mod telemetry;
pub mod upstream;
