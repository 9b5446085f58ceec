//! What a backend is told about the user, as ready-made header values.

use std::sync::Arc;

use http::HeaderValue;

/// The identity of one session, made once at its set-up and cloned (a reference count) into each request.
#[derive(Debug, Clone)]
pub struct IdentityHeaders {
    /// The minted reva token, for routes with `identity: reva`.
    pub access_token: Option<HeaderValue>,
    /// For routes with `identity: headers` or a `remote_user_header`, if there are any.
    pub remote: Option<Arc<RemoteHeaders>>,
}

/// The values of `Remote-User` and its sisters, from the resolved account, already percent-encoded where needed.
#[derive(Debug, Clone)]
pub struct RemoteHeaders {
    /// The account id, for a route's `remote_user_header`.
    pub account_id: HeaderValue,
    /// `Remote-User`.
    pub user: HeaderValue,
    /// `Remote-Name`.
    pub name: HeaderValue,
    /// `Remote-Email`, absent for accounts without a mail address.
    pub email: Option<HeaderValue>,
    /// `Remote-Groups`, joined by `,`.
    pub groups: HeaderValue,
}

impl IdentityHeaders {
    /// Bytes that the values take beside the struct itself.
    pub(crate) fn weight(&self) -> usize {
        let remote = self.remote.as_deref().map_or(0, |remote| {
            let email = remote.email.as_ref().map_or(0, HeaderValue::len);
            let values = [
                &remote.account_id,
                &remote.user,
                &remote.name,
                &remote.groups,
            ];
            let values = values.map(HeaderValue::len).iter().sum::<usize>() + email;
            size_of::<RemoteHeaders>() + values
        });
        self.access_token.as_ref().map_or(0, HeaderValue::len) + remote
    }
}
