//! The clients that the issuer has to know, as people have to enter them there.

use super::{Flavor, Loaded};

/// oCIS' own clients have their ids built in.
const OCIS_DESKTOP: &str = "xdXOt13JKxym1B1QcEncf2XDkLAexMBFwiT9j6EfhhHFJhs2KM9jbjTmf8JBXE69";
const OCIS_ANDROID: &str = "e4rAsNUSIUs0lF4nbv9FmCeUkTlV9GdgTLDH1b5uie7syb90SzEVrbN7HIpmWJeD";
const OCIS_IOS: &str = "mxd5OQDk6es5LzOzRvidJNfXLUZS2oN3oUFeXPP8LpPrhx3UroJFduGEYIBOxkY1";

impl Loaded {
    /// One line a client: id, redirect URIs, scopes. All are public and use PKCE.
    #[must_use]
    pub fn issuer_clients(&self) -> Vec<String> {
        let url = self.config.http.public_url.as_str().trim_end_matches('/');
        let (android, ios, fallback) = match self.config.flavor {
            Flavor::OpenCloud => (
                "oc://android.opencloud.eu",
                "oc://ios.opencloud.eu",
                ["OpenCloudDesktop", "OpenCloudAndroid", "OpenCloudIOS"],
            ),
            Flavor::Ocis => (
                "oc://android.owncloud.com",
                "oc://ios.owncloud.com",
                [OCIS_DESKTOP, OCIS_ANDROID, OCIS_IOS],
            ),
        };
        let web = format!("{url}/ {url}/oidc-callback.html {url}/oidc-silent-redirect.html");
        [
            ("web", "web", web.as_str()),
            (
                "desktop",
                fallback[0],
                "http://127.0.0.1 http://localhost (any port)",
            ),
            ("android", fallback[1], android),
            ("ios", fallback[2], ios),
        ]
        .into_iter()
        .map(|(platform, fallback, redirects)| {
            let id = self.value(format!("webfinger.{platform}_client_id"));
            let id = if id.is_empty() {
                fallback.to_owned()
            } else {
                id
            };
            let scopes = self.value(format!("webfinger.{platform}_client_scopes"));
            format!(
                "{platform}: client id {id}; redirect URIs {redirects}; scopes {}",
                scopes.replace(", ", " ")
            )
        })
        .collect()
    }
}
