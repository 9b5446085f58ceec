//! The keys of signed URLs, which the service `ocs` makes and keeps (docs/design/contract.md 4.3). They are read here, never written.

use std::sync::Arc;

use super::{KeyValue, Space, StoreError};
use crate::config::Secret;
use crate::config::stores::Store;

/// Reads users' signing keys.
#[derive(Debug, Clone)]
pub(crate) struct SigningKeys(Arc<dyn KeyValue>);

impl SigningKeys {
    /// A reader. `None` where keys could only be those of this process, which makes none.
    ///
    /// # Errors
    /// [`StoreError::Settings`].
    pub(crate) fn new(store: &Store) -> Result<Option<Self>, StoreError> {
        let space = Space {
            database: "proxy".to_owned(),
            table: "signing-keys".to_owned(),
            own: None,
        };
        Ok(super::open(store, space)?.map(Self))
    }

    /// The key of the user with this id: 128 hexadecimal digits, of use as text. An empty one is none, for with it anybody
    /// could sign.
    ///
    /// # Errors
    /// [`StoreError`]: nobody knows whether there is one.
    pub(crate) async fn signing_key(&self, opaque_id: &str) -> Result<Option<Secret>, StoreError> {
        if opaque_id.is_empty() {
            return Ok(None);
        }
        let Some(key) = self.0.get(opaque_id).await? else {
            return Ok(None);
        };
        let key = String::from_utf8(key)
            .map_err(|_| StoreError::Unreadable("the signing key is no text".to_owned()))?;
        Ok((!key.trim().is_empty()).then(|| Secret::new(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::memory::Memory;

    #[tokio::test]
    async fn a_missing_and_an_empty_key_are_none() {
        let store = Memory::default();
        store.set("alan", b"00ff");
        store.set("mary", b"");
        store.set("lynn", b" ");
        store.set("ada", b"\xff");
        let keys = SigningKeys(Arc::new(store));
        let key = async |id: &str| keys.signing_key(id).await;
        let alan = key("alan").await.unwrap().unwrap();
        assert_eq!(alan.reveal(), "00ff");
        for id in ["mary", "lynn", "nobody", ""] {
            assert!(key(id).await.unwrap().is_none(), "{id}");
        }
        assert!(key("ada").await.is_err());
    }
}
