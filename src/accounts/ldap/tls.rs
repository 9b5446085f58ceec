//! TLS to the LDAP server: which certificates are believed.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;

use super::DirectoryError;
use crate::trust;

/// The client's side of LDAPS and StartTLS.
///
/// # Errors
/// [`DirectoryError::Unusable`] if the CA file cannot be used.
pub(super) fn client_config(
    cacert: Option<&Path>,
    insecure: bool,
) -> Result<Arc<ClientConfig>, DirectoryError> {
    let config = if insecure {
        trust::unverified()
    } else {
        let roots = trust::roots(cacert);
        let unusable = |error| DirectoryError::Unusable(format!("LDAP CA file {error}"));
        trust::verifying(roots.map_err(unusable)?)
    };
    config
        .map(Arc::new)
        .map_err(|error| DirectoryError::Unusable(format!("TLS: {error}")))
}
