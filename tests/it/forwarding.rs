//! From the gateway to the backend and back: bodies, streams, tunnels, and backends that fail.

mod bodies;
mod faults;
mod heads;
mod streams;
mod tls;
