//! Integration tests against servers and clients of others (slapd, nats-server, redis-server, Node, Keycloak, Hydra, Zitadel's example server, glewlwyd, the OpenTelemetry Collector, rclone, Chromium, litmus), and what takes long; one module per
//! subject: `make test` installs them and runs these. One that is missing is a failure, never a skip.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says by panicking what went wrong"
)]

mod accounts;
mod advisories;
mod alerts;
mod behind;
mod browser;
mod clients_of_others;
mod cs3apis;
mod directory_faults;
mod directory_files;
mod directory_mistakes;
mod events;
mod fail2ban;
mod issuers;
mod jose;
mod killed_while_making;
mod large_bodies;
mod litmus;
mod packages;
mod readme;
mod replicas;
mod services;
mod signed_urls;
mod slow_transfers;
mod status_page;
#[allow(dead_code, reason = "main.rs uses the rest of it")]
mod support;
mod sync_clients;
mod webdav_servers;
mod with_directory;
mod with_glewlwyd;
mod with_keycloak;
mod with_oidc_provider;
mod with_otel_collector;
