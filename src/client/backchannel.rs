//! `PROXY_OIDC_BACKCHANNEL_URL`: an issuer whose public name is not reachable from here.

use url::Url;

/// Rewrites the issuer's public addresses to where it is reached from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backchannel {
    public: Url,
    base: Url,
}

impl Backchannel {
    /// `public` is the issuer, `base` the address that stands for it here. If `base` has a path it stands for the
    /// whole issuer, else for its scheme, host and port only.
    #[must_use]
    pub fn new(public: Url, base: Url) -> Self {
        Self { public, base }
    }

    /// The address to call for `url`; other origins than the issuer's are left alone.
    #[must_use]
    pub fn rewrite(&self, url: &Url) -> Url {
        if url.origin() != self.public.origin() {
            return url.clone();
        }
        let mut path = url.path().to_owned();
        let prefix = self.base.path().trim_end_matches('/');
        if !prefix.is_empty() {
            let issuer = self.public.path().trim_end_matches('/');
            match path.strip_prefix(issuer) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                    path = format!("{prefix}{rest}");
                }
                _ => {}
            }
        }
        let mut rewritten = self.base.clone();
        rewritten.set_path(&path);
        rewritten.set_query(url.query());
        rewritten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_base_without_a_path_replaces_the_origin() {
        let rewriter = Backchannel::new(
            url("https://idp.test/realms/x"),
            url("http://keycloak:8080"),
        );
        assert_eq!(
            rewriter
                .rewrite(&url("https://idp.test/realms/x/certs?a=b"))
                .as_str(),
            "http://keycloak:8080/realms/x/certs?a=b"
        );
    }

    #[test]
    fn a_base_with_a_path_replaces_the_issuer() {
        let rewriter = Backchannel::new(url("https://idp.test/realms/x"), url("http://kc/auth/x/"));
        assert_eq!(
            rewriter
                .rewrite(&url("https://idp.test/realms/x/certs"))
                .as_str(),
            "http://kc/auth/x/certs"
        );
        assert_eq!(
            rewriter
                .rewrite(&url("https://idp.test/realms/xy/certs"))
                .as_str(),
            "http://kc/realms/xy/certs"
        );
    }

    #[test]
    fn another_origin_is_left_alone() {
        let rewriter = Backchannel::new(url("https://idp.test"), url("http://kc"));
        assert_eq!(
            rewriter.rewrite(&url("https://other.test/a")).as_str(),
            "https://other.test/a"
        );
    }
}
