//! Issuers that are servers of others, each with what is particular about it, and the contract that all of them keep.

pub(crate) mod contract;
mod hydra;
mod zitadel;
