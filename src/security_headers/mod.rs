//! The security headers of every answer (docs/design/contract.md 9.11): built once, set by clone.

use http::header::{
    CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS, X_XSS_PROTECTION,
};

use crate::config::{Config, Flavor};

/// Ready-made security headers. A reload, or an issuer whose origins become known, makes new ones.
#[derive(Debug, Clone)]
pub struct SecurityHeaders {
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl SecurityHeaders {
    /// The headers of a configuration. `issuer_origins` (`https://idp.example`) are those of the issuers and of the
    /// endpoints their discovery documents name; they enter the policy unless the configuration says not to.
    #[must_use]
    pub fn new(config: &Config, issuer_origins: &[String]) -> Self {
        let opencloud = config.flavor == Flavor::OpenCloud;
        let mut headers = vec![
            (X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (
                HeaderName::from_static("x-permitted-cross-domain-policies"),
                HeaderValue::from_static("none"),
            ),
            (
                HeaderName::from_static("x-robots-tag"),
                HeaderValue::from_static("none"),
            ),
        ];
        let (referrer, transport) = if opencloud {
            headers.push((X_XSS_PROTECTION, HeaderValue::from_static("1; mode=block")));
            (
                "strict-origin-when-cross-origin",
                "max-age=315360000; preload",
            )
        } else {
            (
                "no-referrer",
                "max-age=315360000; includeSubdomains; preload",
            )
        };
        headers.push((REFERRER_POLICY, HeaderValue::from_static(referrer)));
        if config.http.tls || config.http.force_hsts {
            headers.push((
                STRICT_TRANSPORT_SECURITY,
                HeaderValue::from_static(transport),
            ));
        }
        let origins = if config.csp_issuer_origins {
            issuer_origins
        } else {
            &[]
        };
        // The directives were checked when the configuration was read, so this cannot fail.
        let policy = HeaderValue::from_str(&policy(&config.csp, origins)).ok();
        if let Some(policy) = policy.filter(|policy| !policy.is_empty()) {
            headers.push((CONTENT_SECURITY_POLICY, policy));
        }
        Self { headers }
    }

    /// Sets each header once, in place of what is there.
    pub fn apply(&self, answer: &mut HeaderMap) {
        answer.reserve(self.headers.len() + 1);
        for (name, value) in &self.headers {
            answer.insert(name.clone(), value.clone());
        }
    }
}

/// The policy as one line, directives in order.
fn policy(directives: &[(String, Vec<String>)], origins: &[String]) -> String {
    let mut directives = directives.to_vec();
    let origins: Vec<&String> = origins.iter().filter(|origin| is_source(origin)).collect();
    if !origins.is_empty() {
        admit(&mut directives, "connect-src", &["default-src"], &origins);
        admit(
            &mut directives,
            "frame-src",
            &["child-src", "default-src"],
            &origins,
        );
    }
    let lines: Vec<String> = directives
        .iter()
        .map(|(name, sources)| {
            if sources.is_empty() {
                name.clone()
            } else {
                format!("{name} {}", sources.join(" "))
            }
        })
        .collect();
    lines.join("; ")
}

/// Adds origins to a directive. Where it is missing, browsers fall back to another one, whose sources it starts with;
/// where there is none of them, everything is allowed already.
fn admit(
    directives: &mut Vec<(String, Vec<String>)>,
    name: &str,
    fallbacks: &[&str],
    origins: &[&String],
) {
    let sources = |directives: &[(String, Vec<String>)], wanted: &str| {
        directives
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, sources)| sources.clone())
    };
    let found = sources(directives, name).or_else(|| {
        fallbacks
            .iter()
            .find_map(|fallback| sources(directives, fallback))
    });
    let Some(mut all) = found else { return };
    // Beside another source 'none' has no meaning, and browsers warn of it.
    all.retain(|source| source != "'none'");
    for origin in origins {
        if !all.contains(origin) {
            all.push((*origin).clone());
        }
    }
    match directives
        .iter_mut()
        .find(|(directive, _)| directive == name)
    {
        Some((_, sources)) => *sources = all,
        None => {
            let at = directives.partition_point(|(directive, _)| directive.as_str() < name);
            directives.insert(at, (name.to_owned(), all));
        }
    }
}

/// An origin comes from the issuer's document, so it may be anything.
fn is_source(origin: &str) -> bool {
    !origin.is_empty()
        && origin
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b';' | b',' | b'\''))
}

#[cfg(test)]
mod releases;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LoadOptions;

    fn headers(vars: &[(&str, &str)], origins: &[&str]) -> HeaderMap {
        let mut all = vec![
            ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
            ("PROXY_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
            ("OC_CONFIG_DIR", "/nonexistent"),
            ("OC_BASE_DATA_PATH", "/nonexistent"),
        ];
        all.extend(vars);
        let loaded = Config::load(&LoadOptions::default(), &all.as_slice()).unwrap();
        let origins: Vec<String> = origins.iter().map(|o| (*o).to_owned()).collect();
        let mut answer = HeaderMap::new();
        answer.append(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        answer.append(X_FRAME_OPTIONS, HeaderValue::from_static("ALLOWALL"));
        SecurityHeaders::new(&loaded.config, &origins).apply(&mut answer);
        answer
    }

    #[test]
    fn each_header_is_there_once_in_place_of_the_backends() {
        let answer = headers(&[], &[]);
        assert_eq!(answer.len(), answer.keys_len());
        assert_eq!(answer["x-frame-options"], "SAMEORIGIN");
        assert_eq!(
            answer["strict-transport-security"],
            "max-age=315360000; preload"
        );
        assert_eq!(answer["referrer-policy"], "strict-origin-when-cross-origin");
        assert_eq!(answer["x-xss-protection"], "1; mode=block");
    }

    #[test]
    fn the_policy_of_the_newest_opencloud_is_complete() {
        let answer = headers(&[], &[]);
        assert_eq!(
            answer["content-security-policy"],
            "child-src 'self'; connect-src 'self' blob: https://raw.githubusercontent.com/opencloud-eu/awesome-apps/ \
             https://update.opencloud.eu/; default-src 'none'; font-src 'self'; frame-ancestors 'self'; \
             frame-src 'self' blob: https://embed.diagrams.net/; \
             img-src 'self' data: blob: https://raw.githubusercontent.com/opencloud-eu/awesome-apps/; \
             manifest-src 'self'; media-src 'self'; object-src 'self' blob:; script-src 'self' 'unsafe-inline'; \
             style-src 'self' 'unsafe-inline'"
        );
    }

    #[test]
    fn ocis_has_its_own_values() {
        let answer = headers(&[("PROXY_FLAVOR", "ocis")], &[]);
        assert!(!answer.contains_key("x-xss-protection"));
        assert_eq!(answer["referrer-policy"], "no-referrer");
        assert_eq!(
            answer["strict-transport-security"],
            "max-age=315360000; includeSubdomains; preload"
        );
        let policy = answer["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("connect-src 'self';"), "{policy}");
    }

    #[test]
    fn transport_security_needs_tls_or_force() {
        assert!(!headers(&[("PROXY_TLS", "false")], &[]).contains_key("strict-transport-security"));
        let forced = [
            ("PROXY_TLS", "false"),
            ("PROXY_FORCE_STRICT_TRANSPORT_SECURITY", "true"),
        ];
        assert!(headers(&forced, &[]).contains_key("strict-transport-security"));
    }

    #[test]
    fn issuer_origins_enter_by_themselves_unless_switched_off() {
        let policy = |vars: &[(&str, &str)]| {
            let answer = headers(vars, &["https://idp.example", "https://evil;script-src *"]);
            answer["content-security-policy"]
                .to_str()
                .unwrap()
                .to_owned()
        };
        let on = policy(&[]);
        assert!(
            on.contains("update.opencloud.eu/ https://idp.example;"),
            "{on}"
        );
        assert!(
            on.contains("embed.diagrams.net/ https://idp.example;"),
            "{on}"
        );
        assert!(!on.contains("evil"), "{on}");
        assert!(!policy(&[("PROXY_CSP_ISSUER_ORIGINS", "false")]).contains("idp.example"));
    }

    #[test]
    fn a_missing_directive_starts_from_what_it_falls_back_to() {
        let directives = [("default-src".to_owned(), vec!["'self'".to_owned()])];
        let origins = ["https://idp.example".to_owned()];
        assert_eq!(
            policy(&directives, &origins),
            "connect-src 'self' https://idp.example; default-src 'self'; frame-src 'self' https://idp.example"
        );
        let none = [("connect-src".to_owned(), vec!["'none'".to_owned()])];
        assert_eq!(policy(&none, &origins), "connect-src https://idp.example");
    }
}
