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
//! - [`gateway`]: the composition; [`command`]: what the binary does; [`door`]: what tests and benches reach.

mod accounts;
mod admin;
mod answer;
mod auth;
mod body;
mod check;
mod cli;
mod client;
mod command;
mod config;
mod credentials;
#[doc(hidden)]
pub mod door;
mod error;
mod events;
mod explain;
mod forwarded;
#[cfg(test)]
mod fuzz;
mod gateway;
mod headers;
mod identity;
mod local;
mod login;
mod model;
mod pipeline;
mod process;
mod reload;
mod replicas;
mod roles;
mod routes;
mod rpc;
mod security_headers;
mod server;
mod services;
mod session;
mod stores;
mod telemetry;
mod trust;
mod upstream;

pub use command::run;
