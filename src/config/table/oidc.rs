//! Issuer, tokens, claims; webfinger.

use std::time::Duration;

use crate::config::Secret;
use crate::config::key::{ClaimValues, Key, Minutes, Seconds, Tree, Url, Word};
use crate::config::oidc::{ClaimsMerge, VerifyMethod};
use crate::config::setting::{Preset, Setting};
use crate::config::words::WebfingerMode;

pub(crate) const ISSUER: Key<Url> = Key::new(
    "oidc.issuer",
    &["OC_URL", "OC_OIDC_ISSUER", "PROXY_OIDC_ISSUER"],
    Preset::Text("https://localhost:9200"),
    "issuer of the tokens, exactly as it names itself",
);

pub(crate) const INSECURE: Key<bool> = Key::new(
    "oidc.insecure",
    &["OC_INSECURE", "PROXY_OIDC_INSECURE"],
    Preset::Text("false"),
    "the issuer's certificate is not verified, and plain http is allowed anywhere",
);

pub(crate) const ACCESS_TOKEN_VERIFY_METHOD: Key<Word<VerifyMethod>> = Key::new(
    "oidc.access_token_verify_method",
    &["PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD"],
    Preset::Text("jwt"),
    "`jwt`: by the issuer's keys; `none`: userinfo decides; `auto`: JWT by keys, else introspection or userinfo; `introspection`: RFC 7662",
);

pub(crate) const SKIP_USER_INFO: Key<bool> = Key::new(
    "oidc.skip_user_info",
    &["PROXY_OIDC_SKIP_USER_INFO"],
    Preset::Text("false"),
    "claims come from the token (or introspection) alone",
);

pub(crate) const REWRITE_WELL_KNOWN: Key<bool> = Key::new(
    "oidc.rewrite_well_known",
    &["PROXY_OIDC_REWRITE_WELLKNOWN"],
    Preset::Text("false"),
    "`/.well-known/openid-configuration` is answered with the issuer's document",
);

pub(crate) const CLIENT_ID: Key<String> = Key::new(
    "oidc.client_id",
    &["PROXY_OIDC_CLIENT_ID"],
    Preset::Empty,
    "our client id at the issuer, for introspection",
);

pub(crate) const CLIENT_SECRET: Key<Secret> = Key::new(
    "oidc.client_secret",
    &["PROXY_OIDC_CLIENT_SECRET"],
    Preset::Empty,
    "secret of that client",
);

pub(crate) const ACCESS_TOKEN_VERIFY_AUD: Key<Vec<String>> = Key::new(
    "oidc.access_token_verify_aud",
    &["PROXY_OIDC_ACCESS_TOKEN_VERIFY_AUD"],
    Preset::Empty,
    "one of these has to be in `aud` or be `azp`; empty: not checked",
);

pub(crate) const AUDIENCES: Key<Vec<String>> = Key::new(
    "oidc.audiences",
    &["PROXY_OIDC_AUDIENCES"],
    Preset::Empty,
    "one of these has to be in `aud`; empty: not checked",
);

pub(crate) const ACCESS_TOKEN_TYP: Key<Vec<String>> = Key::new(
    "oidc.access_token_typ",
    &["PROXY_OIDC_ACCESS_TOKEN_TYP"],
    Preset::Empty,
    "accepted header `typ` values of JWTs, such as `at+jwt`, compared without case and `application/`; empty: any that is not another kind's",
);

pub(crate) const REQUIRE_VERIFIED_MAIL: Key<bool> = Key::new(
    "oidc.require_verified_mail",
    &["PROXY_OIDC_REQUIRE_VERIFIED_MAIL"],
    Preset::Text("true"),
    "where mail finds the account or makes somebody admin, `email_verified: false` is refused; a token without that claim is not",
);

pub(crate) const LOGOUT_AUDIENCES: Key<Vec<String>> = Key::new(
    "oidc.logout_audiences",
    &["PROXY_OIDC_LOGOUT_AUDIENCES"],
    Preset::Empty,
    "accepted `aud` of logout tokens; empty: not checked",
);

pub(crate) const REQUIRE_EXP: Key<bool> = Key::new(
    "oidc.require_exp",
    &["PROXY_OIDC_REQUIRE_EXP"],
    Preset::Text("true"),
    "a JWT without `exp` is refused",
);

pub(crate) const LEEWAY: Key<Duration> = Key::new(
    "oidc.leeway",
    &["PROXY_OIDC_LEEWAY"],
    Preset::Text("5s"),
    "clock leeway for `exp` and `nbf`, at most 60s",
);

pub(crate) const REQUIRED_CLAIMS: Key<ClaimValues> = Key::new(
    "oidc.required_claims",
    &["PROXY_OIDC_REQUIRED_CLAIMS"],
    Preset::Empty,
    "`claim=value`, all have to hold",
);

pub(crate) const ALLOW_CLAIM: Key<ClaimValues> = Key::new(
    "oidc.allow_claim",
    &["PROXY_OIDC_ALLOW_CLAIM"],
    Preset::Empty,
    "`claim=value`, one has to hold before anybody is let in; empty: everybody",
);

pub(crate) const CLAIMS_MERGE: Key<Word<ClaimsMerge>> = Key::new(
    "oidc.claims_merge",
    &["PROXY_OIDC_CLAIMS_MERGE"],
    Preset::Text("userinfo-wins"),
    "who wins where token and userinfo differ; `union` unites lists",
);

pub(crate) const USERINFO_SUB_CHECK: Key<bool> = Key::new(
    "oidc.userinfo_sub_check",
    &["PROXY_OIDC_USERINFO_SUB_CHECK"],
    Preset::Text("true"),
    "userinfo's `sub` has to equal the token's",
);

pub(crate) const BACKCHANNEL_URL: Key<Url> = Key::new(
    "oidc.backchannel_url",
    &["PROXY_OIDC_BACKCHANNEL_URL"],
    Preset::Empty,
    "base URL for calls to the issuer where its public name is not reachable from here",
);

pub(crate) const INTROSPECTION_URL: Key<Url> = Key::new(
    "oidc.introspection_url",
    &["PROXY_OIDC_INTROSPECTION_URL"],
    Preset::Empty,
    "where introspection is, for an issuer whose document does not say (Hydra: on its admin port)",
);

pub(crate) const ACCEPT_BOUND_TOKENS: Key<bool> = Key::new(
    "oidc.accept_bound_tokens",
    &["PROXY_OIDC_ACCEPT_BOUND_TOKENS"],
    Preset::Text("false"),
    "a token with `cnf` is accepted as a plain bearer",
);

pub(crate) const JWKS_REFRESH_INTERVAL: Key<Minutes> = Key::new(
    "oidc.jwks.refresh_interval",
    &["PROXY_OIDC_JWKS_REFRESH_INTERVAL"],
    Preset::Text("60"),
    "minutes between background refreshes of the keys",
);

pub(crate) const JWKS_REFRESH_TIMEOUT: Key<Seconds> = Key::new(
    "oidc.jwks.refresh_timeout",
    &["PROXY_OIDC_JWKS_REFRESH_TIMEOUT"],
    Preset::Text("10"),
    "seconds one fetch of the keys may take",
);

pub(crate) const JWKS_REFRESH_LIMIT: Key<Seconds> = Key::new(
    "oidc.jwks.refresh_limit",
    &["PROXY_OIDC_JWKS_REFRESH_RATE_LIMIT"],
    Preset::Text("60"),
    "seconds between fetches for unknown key ids",
);

pub(crate) const JWKS_REFRESH_UNKNOWN_KID: Key<bool> = Key::new(
    "oidc.jwks.refresh_unknown_kid",
    &["PROXY_OIDC_JWKS_REFRESH_UNKNOWN_KID"],
    Preset::Text("true"),
    "an unknown key id triggers a fetch",
);

pub(crate) const USER_INFO_CACHE_TTL: Key<Duration> = Key::new(
    "oidc.user_info_cache.ttl",
    &["OC_CACHE_TTL", "PROXY_OIDC_USERINFO_CACHE_TTL"],
    Preset::Text("10s"),
    "how long an opaque token without expiry counts before it is asked about again",
);

pub(crate) const DPOP_NONCE: Key<bool> = Key::new(
    "oidc.dpop_nonce",
    &["PROXY_OIDC_DPOP_NONCE"],
    Preset::Text("false"),
    "a DPoP proof needs a nonce given out here (RFC 9449 section 9): no client can make proofs in advance, and a wrong clock does not matter; each client pays for it by one more request now and then",
);

pub(crate) const ISSUERS: Key<Tree> = Key::new(
    "oidc.issuers",
    &[],
    Preset::Empty,
    "list of further issuers, each with the keys of `oidc:`, `user_oidc_claim`, `user_cs3_claim`, `auto_provision_claims`, `role_assignment`, `claim_by_name` and the clients of `webfinger:`; a missing key is that of the first issuer, but for credentials, `insecure`, `backchannel_url`, `introspection_url` and `webfinger_domains`",
);

pub(crate) const WEBFINGER_DOMAINS: Key<Vec<String>> = Key::new(
    "oidc.webfinger_domains",
    &["PROXY_OIDC_WEBFINGER_DOMAINS"],
    Preset::Empty,
    "with several issuers: domains whose accounts (`acct:user@domain`) native webfinger leads to this issuer; all others go to the first",
);

/// In the order of the reference.
pub(super) const SETTINGS: &[Setting] = &[
    ISSUER.setting,
    INSECURE.setting,
    ACCESS_TOKEN_VERIFY_METHOD.setting,
    SKIP_USER_INFO.setting,
    REWRITE_WELL_KNOWN.setting,
    CLIENT_ID.setting,
    CLIENT_SECRET.setting,
    ACCESS_TOKEN_VERIFY_AUD.setting,
    AUDIENCES.setting,
    ACCESS_TOKEN_TYP.setting,
    REQUIRE_VERIFIED_MAIL.setting,
    LOGOUT_AUDIENCES.setting,
    REQUIRE_EXP.setting,
    LEEWAY.setting,
    REQUIRED_CLAIMS.setting,
    ALLOW_CLAIM.setting,
    CLAIMS_MERGE.setting,
    USERINFO_SUB_CHECK.setting,
    BACKCHANNEL_URL.setting,
    INTROSPECTION_URL.setting,
    ACCEPT_BOUND_TOKENS.setting,
    JWKS_REFRESH_INTERVAL.setting,
    JWKS_REFRESH_TIMEOUT.setting,
    JWKS_REFRESH_LIMIT.setting,
    JWKS_REFRESH_UNKNOWN_KID.setting,
    USER_INFO_CACHE_TTL.setting,
    DPOP_NONCE.setting,
    ISSUERS.setting,
    WEBFINGER_DOMAINS.setting,
];

pub(crate) const WEBFINGER_MODE: Key<Word<WebfingerMode>> = Key::new(
    "webfinger.mode",
    &["PROXY_WEBFINGER"],
    Preset::Text("forward"),
    "`native`: `/.well-known/webfinger` is answered here",
);

pub(crate) const WEBFINGER_OIDC_ISSUER: Key<String> = Key::new(
    "webfinger.oidc_issuer",
    &["WEBFINGER_OIDC_ISSUER"],
    Preset::Derived("`oidc.issuer`"),
    "issuer named in the answer",
);

pub(crate) const WEBFINGER_SERVER_INSTANCE_URL: Key<String> = Key::new(
    "webfinger.server_instance_url",
    &[
        "WEBFINGER_OWNCLOUD_SERVER_INSTANCE_URL",
        "WEBFINGER_OPENCLOUD_SERVER_INSTANCE_URL",
    ],
    Preset::Derived("`public_url`"),
    "server instance named in the answer",
);

pub(crate) const WEBFINGER_WEB_CLIENT_ID: Key<String> = Key::new(
    "webfinger.web_client_id",
    &[
        "OC_OIDC_CLIENT_ID",
        "WEB_OIDC_CLIENT_ID",
        "WEBFINGER_WEB_OIDC_CLIENT_ID",
    ],
    Preset::Text("web"),
    "client id of the web client",
);

pub(crate) const WEBFINGER_WEB_CLIENT_SCOPES: Key<Vec<String>> = Key::new(
    "webfinger.web_client_scopes",
    &[
        "OC_OIDC_CLIENT_SCOPES",
        "WEB_OIDC_SCOPE",
        "WEBFINGER_WEB_OIDC_CLIENT_SCOPES",
    ],
    Preset::Text("openid,profile,email"),
    "scopes of the web client",
);

pub(crate) const WEBFINGER_DESKTOP_CLIENT_ID: Key<String> = Key::new(
    "webfinger.desktop_client_id",
    &["OC_OIDC_CLIENT_ID", "WEBFINGER_DESKTOP_OIDC_CLIENT_ID"],
    Preset::Flavor("OpenCloudDesktop", ""),
    "client id of the desktop client; empty: not told",
);

pub(crate) const WEBFINGER_DESKTOP_CLIENT_SCOPES: Key<Vec<String>> = Key::new(
    "webfinger.desktop_client_scopes",
    &[
        "OC_OIDC_CLIENT_SCOPES",
        "WEBFINGER_DESKTOP_OIDC_CLIENT_SCOPES",
    ],
    Preset::Text("openid,profile,email,offline_access"),
    "scopes of the desktop client",
);

pub(crate) const WEBFINGER_ANDROID_CLIENT_ID: Key<String> = Key::new(
    "webfinger.android_client_id",
    &["OC_OIDC_CLIENT_ID", "WEBFINGER_ANDROID_OIDC_CLIENT_ID"],
    Preset::Flavor("OpenCloudAndroid", ""),
    "client id of the Android client; empty: not told",
);

pub(crate) const WEBFINGER_ANDROID_CLIENT_SCOPES: Key<Vec<String>> = Key::new(
    "webfinger.android_client_scopes",
    &[
        "OC_OIDC_CLIENT_SCOPES",
        "WEBFINGER_ANDROID_OIDC_CLIENT_SCOPES",
    ],
    Preset::Text("openid,profile,email,offline_access"),
    "scopes of the Android client",
);

pub(crate) const WEBFINGER_IOS_CLIENT_ID: Key<String> = Key::new(
    "webfinger.ios_client_id",
    &["OC_OIDC_CLIENT_ID", "WEBFINGER_IOS_OIDC_CLIENT_ID"],
    Preset::Flavor("OpenCloudIOS", ""),
    "client id of the iOS client; empty: not told",
);

pub(crate) const WEBFINGER_IOS_CLIENT_SCOPES: Key<Vec<String>> = Key::new(
    "webfinger.ios_client_scopes",
    &["OC_OIDC_CLIENT_SCOPES", "WEBFINGER_IOS_OIDC_CLIENT_SCOPES"],
    Preset::Text("openid,profile,email,offline_access"),
    "scopes of the iOS client",
);

/// In the order of the reference.
pub(super) const WEBFINGER: &[Setting] = &[
    WEBFINGER_MODE.setting,
    WEBFINGER_OIDC_ISSUER.setting,
    WEBFINGER_SERVER_INSTANCE_URL.setting,
    WEBFINGER_WEB_CLIENT_ID.setting,
    WEBFINGER_WEB_CLIENT_SCOPES.setting,
    WEBFINGER_DESKTOP_CLIENT_ID.setting,
    WEBFINGER_DESKTOP_CLIENT_SCOPES.setting,
    WEBFINGER_ANDROID_CLIENT_ID.setting,
    WEBFINGER_ANDROID_CLIENT_SCOPES.setting,
    WEBFINGER_IOS_CLIENT_ID.setting,
    WEBFINGER_IOS_CLIENT_SCOPES.setting,
];
