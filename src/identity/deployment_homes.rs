//! Homes that the CS3 gateway makes.

use async_trait::async_trait;
use http::HeaderValue;

use super::{HomeError, HomeMaker};
use crate::config::Secret;
use crate::model::{Account, Address, Role, UserType};
use crate::rpc::cs3::Homes;
use crate::services::Directory;

/// The home maker of deployments with a CS3 gateway.
#[derive(Debug, Clone)]
pub(crate) struct DeploymentHomes {
    homes: Homes,
    /// Homes are made only while the gateway is known to be there; `None`: always.
    only_if: Option<(Directory, Address)>,
}

impl DeploymentHomes {
    /// Homes are made, whatever is known of the gateway.
    #[must_use]
    pub(crate) fn new(homes: Homes) -> Self {
        Self {
            homes,
            only_if: None,
        }
    }

    /// Homes are made where a gateway is registered, or has an address of its own.
    #[must_use]
    pub(crate) fn where_there(homes: Homes, directory: Directory, gateway: Address) -> Self {
        Self {
            homes,
            only_if: Some((directory, gateway)),
        }
    }

    fn is_there(&self) -> bool {
        match &self.only_if {
            None | Some((_, Address::Endpoint(_))) => true,
            Some((directory, Address::Service(name))) => directory.is_announced(name.as_str()),
        }
    }
}

#[async_trait]
impl HomeMaker for DeploymentHomes {
    async fn make_home(
        &self,
        account: &Account,
        role: Option<Role>,
        access_token: &HeaderValue,
    ) -> Result<(), HomeError> {
        // Who has no storage of their own is refused one (docs/design/contract.md 1).
        if account.user_type == UserType::Lightweight || !self.is_there() {
            return Ok(());
        }
        let token = access_token
            .to_str()
            .map_err(|error| HomeError(error.to_string()))?;
        let made = self
            .homes
            .make(&account.id, role, &Secret::new(token))
            .await;
        made.map(drop).map_err(|error| HomeError(error.to_string()))
    }
}
