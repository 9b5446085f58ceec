//! davgate: the authenticating gateway in front of file-sync backends.
//!
//! # Layout
//! A file imports only from lines above its own; `tests/it/layering.rs` holds it.
//! - [`model`]: accounts, claims, roles, reasons. No I/O, no HTTP.
//! - [`config`]: what the operator wants, validated once.
//! - [`cli`]: the command line; [`forwarded`]: client address, scheme and host behind trusted proxies; [`headers`]: heads
//!   that may pass; [`telemetry`]: log, access lines, metrics; [`trust`]: whose certificates are believed.
//! - [`body`]: bodies that may pass.
//! - [`client`]: calls to issuers; [`stores`]: servers that keep something for several processes.
//! - [`services`]: names of services and the addresses behind them.
//! - [`rpc`]: calls by gRPC to the services of the deployment.
//! - [`auth`]: who sent this token; [`accounts`]: which account that is; [`roles`]: what they may; [`identity`]: what
//!   backends are told; [`routes`]: where a request goes; [`security_headers`]: headers of every answer.
//! - [`session`]: the heart, a token set up once.
//! - [`replicas`]: what gateways of one deployment tell each other.
//! - [`process`]: what all workers share; [`upstream`]: pools of connections to backends.
//! - [`error`]: what a failure looks like outside.
//! - [`server`]: the public listener; [`admin`]: the debug listener; [`answer`]: the form of answers.
//! - [`local`]: requests that are answered here; [`reload`]: a new configuration.
//! - [`check`]: whether everybody answers as he has to; [`pipeline`]: a request's way; [`explain`]: what would be done with a token.
//! - [`gateway`]: the composition.

pub mod accounts;
pub mod admin;
pub mod answer;
pub mod auth;
pub mod body;
pub mod check;
pub mod cli;
pub mod client;
pub mod config;
pub mod credentials;
pub mod error;
pub mod events;
pub mod explain;
pub mod forwarded;
pub mod gateway;
pub mod headers;
pub mod identity;
pub mod local;
pub mod login;
pub mod model;
pub mod pipeline;
pub mod process;
pub mod reload;
pub mod replicas;
pub mod roles;
pub mod routes;
pub mod rpc;
pub mod security_headers;
pub mod server;
pub mod services;
pub mod session;
pub mod stores;
pub mod telemetry;
pub mod trust;
pub mod upstream;
