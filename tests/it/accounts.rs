//! One contract, run over every account backend; then what only LDAP has.

mod backends;
mod contract;
mod faults;
mod logins;
mod tls;
mod wire;
