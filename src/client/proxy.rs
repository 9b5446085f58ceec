//! `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`, as the configuration read them.

use url::Url;

/// Forward proxies for calls to issuers.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// For `https` addresses, reached by CONNECT.
    pub https: Option<Url>,
    /// For `http` addresses.
    pub http: Option<Url>,
    /// Hosts and domain suffixes that are called directly; `*` means all.
    pub no_proxy: Vec<String>,
}

impl Proxies {
    /// The proxy for a host, if any. Loopback is always called directly.
    pub(super) fn pick(&self, https: bool, host: &str) -> Option<&Url> {
        let proxy = if https { &self.https } else { &self.http }.as_ref()?;
        (!self.is_direct(host)).then_some(proxy)
    }

    fn is_direct(&self, host: &str) -> bool {
        if host == "localhost" || host.starts_with("127.") || host == "[::1]" {
            return true;
        }
        self.no_proxy.iter().any(|entry| {
            let entry = entry.trim().trim_start_matches('.');
            entry == "*"
                || host == entry
                || (!entry.is_empty()
                    && host
                        .strip_suffix(entry)
                        .is_some_and(|rest| rest.ends_with('.')))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_suffixes_are_called_directly() {
        let proxies = Proxies {
            https: Some(Url::parse("http://proxy:3128").unwrap()),
            http: None,
            no_proxy: vec![".corp.test".into(), "idp.test".into()],
        };
        assert!(proxies.pick(true, "login.test").is_some());
        assert!(proxies.pick(false, "login.test").is_none());
        assert!(proxies.pick(true, "a.corp.test").is_none());
        assert!(proxies.pick(true, "idp.test").is_none());
        assert!(proxies.pick(true, "myidp.test").is_some());
        assert!(proxies.pick(true, "127.0.0.1").is_none());
    }
}
