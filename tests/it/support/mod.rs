//! Real components the tests run against, and what several test modules share.

pub(crate) mod slapd;
