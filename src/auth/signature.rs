//! A token's signature against a set of keys, without an issuer, a clock or a network: the part of a verification that
//! the micro-benchmarks measure for each algorithm.

use super::AuthError;
use super::jwk::{Found, KeySet};
use super::jws::Jws;
use crate::credentials::BearerToken;
use crate::model::{Claims, Reason};

/// The public keys of a JSON Web Key Set (RFC 7517), parsed once.
#[derive(Debug)]
pub struct PublicKeys(KeySet);

impl PublicKeys {
    /// Reads a key set; keys that may not verify are left out.
    ///
    /// # Errors
    /// [`AuthError::Token`] with `unknown_key` if the document is no key set.
    pub fn parse(document: &[u8]) -> Result<Self, AuthError> {
        KeySet::parse(document)
            .map(Self)
            .map_err(|error| AuthError::token(Reason::UnknownKey, error.to_string()))
    }

    /// Reads a compact JWS and its claims and checks its signature. Says nothing about issuer, times or audience.
    ///
    /// # Errors
    /// [`AuthError::Token`] saying what is wrong with it.
    pub fn verify(&self, token: &BearerToken) -> Result<Claims, AuthError> {
        let jws = Jws::parse(token.reveal())?;
        let claims = jws.claims()?;
        match self.0.find(jws.header.kid.as_deref(), jws.header.algorithm) {
            Found::Keys(keys) => jws.verify(&keys).map(|_| Claims(claims)),
            Found::OtherAlgorithm(key) => Err(jws.misfit(key)),
            Found::OtherUse | Found::Unusable(_) | Found::UnknownKid | Found::Ambiguous => {
                Err(AuthError::token(Reason::UnknownKey, "no such key"))
            }
        }
    }
}
