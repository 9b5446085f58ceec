//! The personal space that backends keep for a person.

use std::fmt::Debug;

use async_trait::async_trait;
use http::HeaderValue;

use crate::model::{Account, Role};

/// Has the personal space of an account made, where backends do not make it by themselves. Called once at the set-up of a
/// session, after the role, because making one needs a right (docs/design/contract.md 9.9). A space that is there already is no error.
#[async_trait]
pub trait HomeMaker: Debug + Send + Sync {
    /// Makes the space, in the name of the account itself.
    ///
    /// # Errors
    /// [`HomeError`], which is told and keeps nobody out.
    async fn make_home(
        &self,
        account: &Account,
        role: Option<Role>,
        access_token: &HeaderValue,
    ) -> Result<(), HomeError>;
}

/// Why there may be no home.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the personal space was not made: {0}")]
pub struct HomeError(pub String);

/// Backends make homes by themselves, or have none.
#[derive(Debug)]
pub struct NoHomes;

#[async_trait]
impl HomeMaker for NoHomes {
    async fn make_home(
        &self,
        _: &Account,
        _: Option<Role>,
        _: &HeaderValue,
    ) -> Result<(), HomeError> {
        Ok(())
    }
}
