//! One contract, run over every account backend; then what only LDAP has.

mod backends;
mod contract;
mod contract_groups;
mod faults;
mod ldap_settings;
mod logins;
mod odd_directories;
pub(crate) mod tls;
pub(crate) mod wire;
