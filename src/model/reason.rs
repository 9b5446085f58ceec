//! Every refusal and noteworthy deviation has one stable word. `docs/troubleshooting.md` is generated from here.

macro_rules! reasons {
    ($($(#[doc = $meaning:literal])+ $variant:ident = $code:literal, $advice:literal;)+) => {
        /// The stable `reason` of a log line and of a refusal's body. Never renamed: admins alert on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[doc = $meaning])+ $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in logs and bodies.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What it means.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($meaning),+).trim_ascii(),)+ }
            }

            /// What an administrator does about it.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)+ }
            }
        }
    };
}

reasons! {
    /// The request carries no credential and the route needs one.
    NoCredential = "no_credential", "If the client does not log in then, check that it sends `Authorization: Bearer`. A user name with a password needs `PROXY_ENABLE_BASIC_AUTH=true`, an app password `PROXY_ENABLE_APP_AUTH=true`.";
    /// The Authorization header is no well-formed bearer credential.
    MalformedCredential = "malformed_credential", "Look at the client: one `Bearer`, one token, nothing after it, none in the query.";
    /// More than one Authorization header arrived.
    DuplicateAuthorization = "dup_auth", "Look at the client or a proxy in between that adds a second one.";
    /// The user name or the password is wrong.
    WrongPassword = "wrong_password", "Nothing, if somebody mistyped it. Passwords are taken with `PROXY_ENABLE_BASIC_AUTH`, app passwords with `PROXY_ENABLE_APP_AUTH`.";
    /// Too many wrong passwords came for one user name, or one public link, within a minute.
    TooManyPasswords = "too_many_passwords", "Look at who guesses; nobody's password is looked at for the rest of the minute, and who is logged in goes on.";
    /// There is no such public link.
    ShareUnknown = "share_unknown", "Nothing, the link was taken back or mistyped.";
    /// The token is not a JWT although the verify method is `jwt`.
    OpaqueToken = "opaque_token", "Set `PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD` to `none` or `auto`, or let the issuer give out JWT access tokens.";
    /// A logout token or a signed answer of the issuer is longer than 64 KiB.
    TokenTooLarge = "token_too_large", "Look at the issuer. An access token is bounded by its header only (`header_too_large`).";
    /// The token's JSON or base64url is not exactly as RFC 7515 wants it.
    TokenMalformed = "token_malformed", "Look at the issuer or at whoever altered the token.";
    /// The token's algorithm is not an accepted asymmetric one, or does not fit the key.
    TokenAlgorithm = "token_algorithm", "Let the issuer sign with RS, PS or ES 256-512 or EdDSA; HS and none are never accepted.";
    /// A critical header, `zip` or another extension is not understood.
    TokenHeader = "token_header", "Let the issuer leave the extension out.";
    /// No key of the issuer has the token's key id.
    UnknownKey = "unknown_key", "The token is older than a key rotation, or of another issuer.";
    /// The signature does not verify.
    BadSignature = "bad_signature", "The token was altered or is of another issuer; a token for Microsoft Graph never verifies elsewhere.";
    /// The token's `iss` is not the configured issuer.
    WrongIssuer = "wrong_issuer", "Compare both strings in the log, the slash at the end included, and correct `PROXY_OIDC_ISSUER`.";
    /// The token is for somebody else.
    WrongAudience = "wrong_audience", "Add the audience or client id to `PROXY_OIDC_AUDIENCES` or `PROXY_OIDC_ACCESS_TOKEN_VERIFY_AUD`.";
    /// Nobody says whom an opaque token is for, and audiences are required.
    AudienceUnknown = "audience_unknown", "Set `PROXY_OIDC_CLIENT_ID` and `PROXY_OIDC_CLIENT_SECRET` for introspection, or let the issuer give out JWT access tokens.";
    /// The token is past its `exp`.
    TokenExpired = "token_expired", "Nothing, the client refreshes it; if all are, look at the clocks.";
    /// The token is not valid yet.
    TokenNotYetValid = "token_not_yet_valid", "Look at the clocks of issuer and gateway, or raise `PROXY_OIDC_LEEWAY`.";
    /// A time claim is missing or has the wrong type.
    TokenTimes = "token_times", "Let the issuer send `exp`, or set `PROXY_OIDC_REQUIRE_EXP=false`.";
    /// An ID, refresh or logout token was sent as an access token.
    WrongTokenType = "wrong_token_type", "The client has to send its access token.";
    /// The token is bound to a key of the client but came as a plain bearer.
    BoundToken = "bound_token", "Let the client send a DPoP proof, or set `PROXY_OIDC_ACCEPT_BOUND_TOKENS=true`.";
    /// The proof of possession (DPoP) is missing, malformed, used before, or by another key.
    DpopProof = "dpop_proof", "Look at the line's text: the client's clock, the URL it used (it has to begin as `OC_URL` does), or a token that is not bound to its key.";
    /// The DPoP proof has no nonce of the last minutes; the answer gives one.
    DpopNonce = "dpop_nonce", "Nothing, if the client then comes back with the nonce of the answer. One that knows no nonces needs `PROXY_OIDC_DPOP_NONCE=false`.";
    /// The signature of a URL is wrong, or its time is over.
    SignedUrl = "signed_url", "Nothing, the client signs anew; else look at the line's text: a key that the backend gave out anew, a `Host` that is not the client's.";
    /// The token's session was ended by a logout.
    SessionEnded = "session_ended", "Nothing, the user logs in again.";
    /// A back-channel logout came without a form that has one logout token.
    LogoutRequest = "logout_request", "Look at the issuer's back-channel logout URL; it has to send a POST form.";
    /// Userinfo speaks of another subject than the token.
    SubMismatch = "sub_mismatch", "Look at the issuer; where pairwise subjects are meant, set `PROXY_OIDC_USERINFO_SUB_CHECK=false`.";
    /// The issuer says the token is not good.
    TokenRejected = "token_rejected", "Do what the line's text says: the token was revoked, its person disabled or deleted, the client not granted the scope `openid`, or the issuer's userinfo does not take this kind of token.";
    /// A claim that the configuration requires is missing or different.
    RequiredClaim = "required_claim", "See `PROXY_OIDC_REQUIRED_CLAIMS` and the route's `required_claims`.";
    /// The route wants a stronger or fresher login.
    InsufficientAuthentication = "insufficient_user_authentication", "Nothing, the client logs in again with the `acr` of the challenge.";
    /// The issuer could not be asked.
    IssuerUnavailable = "issuer_unavailable", "Look at the issuer and at the network between; `PROXY_OIDC_ISSUER` is what is asked, `PROXY_OIDC_BACKCHANNEL_URL` leads there where its public name does not.";
    /// The issuer's discovery document names another issuer.
    IssuerMismatch = "issuer_mismatch", "Make `PROXY_OIDC_ISSUER` the very string that the document has, the slash at the end included.";
    /// The issuer refuses the gateway's own credentials.
    IssuerCredentials = "issuer_credentials", "Correct `PROXY_OIDC_CLIENT_ID` and `PROXY_OIDC_CLIENT_SECRET`.";
    /// The keys may not be fetched again yet.
    KeysPending = "keys_pending", "Nothing, it passes within `PROXY_OIDC_JWKS_REFRESH_RATE_LIMIT`.";
    /// The issuer publishes no key that can be used, or not the one that signed the token.
    KeyUnusable = "key_unusable", "Look at the line's text and at the issuer's key set: RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519.";
    /// A client is not among those let in.
    NotAdmitted = "not_admitted", "See `PROXY_OIDC_ALLOW_CLAIM`.";
    /// The claim that names the user is missing.
    UserClaimMissing = "user_claim_missing", "Let the issuer send the claim of `PROXY_USER_OIDC_CLAIM`, or name another; if userinfo alone has it, switch `PROXY_OIDC_SKIP_USER_INFO` off.";
    /// Neither the token nor userinfo has a subject, so that no account can be made.
    SubjectMissing = "subject_missing", "Let the issuer send `sub` (Keycloak: client scope `basic`), or switch `PROXY_OIDC_SKIP_USER_INFO` off.";
    /// The mail address would decide, and the issuer says that it is not verified.
    MailUnverified = "mail_unverified", "Let the person verify the address at the issuer; see `PROXY_OIDC_REQUIRE_VERIFIED_MAIL`.";
    /// A claim has the wrong type.
    ClaimType = "claim_type", "Let the issuer send a string.";
    /// The user name breaks the rules for names.
    ClaimCharset = "claim_charset", "Rename the user at the issuer, or see `GRAPH_USERNAME_MATCH`.";
    /// No such account, and provisioning is off.
    AccountUnknown = "account_unknown", "Create the account, or set `PROXY_AUTOPROVISION_ACCOUNTS=true`. If it is in the directory, compare the names of its attributes with `OC_LDAP_USER_SCHEMA_USERNAME` and `OC_LDAP_USER_OBJECTCLASS` (Active Directory: `sAMAccountName`, `user`).";
    /// The account has no tenant, or another than the token says.
    TenantMismatch = "tenant_mismatch", "Compare the account's tenant id (`OC_LDAP_USER_SCHEMA_TENANT_ID`) with the claim `PROXY_TENANT_OIDC_CLAIM` names.";
    /// The account is disabled.
    AccountDisabled = "account_disabled", "Enable the account if the person may enter: in LDAP the attribute that `OC_LDAP_USER_ENABLED_ATTRIBUTE` names (`openCloudUserEnabled`) is to be TRUE or absent; with embedded accounts by davgate account enable.";
    /// The account belongs to another identity.
    IdentityConflict = "identity_conflict", "The line has both identities. Where the issuer's address changed, see `PROXY_ACCOUNT_FORMER_ISSUERS`; else correct the account's external identity.";
    /// The account is outside the operator's LDAP filter, or a new one would be.
    AccountExcluded = "account_excluded", "See `OC_LDAP_USER_FILTER`, and the entry that the line names.";
    /// The account belongs to nobody yet and may not be claimed by its name alone.
    AccountUnclaimed = "account_unclaimed", "Write the identity into the account, or see `PROXY_ACCOUNT_CLAIM_BY_NAME`.";
    /// More than one account matches.
    AccountAmbiguous = "account_ambiguous", "Make the attribute unique in the directory.";
    /// The account backend could not be asked.
    DirectoryUnavailable = "directory_unavailable", "Look at the LDAP server or the database, and at the network between; see `OC_LDAP_URI`, `OC_LDAP_CACERT`, `OC_LDAP_BIND_DN` and `OC_LDAP_BIND_PASSWORD`.";
    /// The account backend refuses the gateway's own bind or password.
    DirectoryCredentials = "directory_credentials", "Correct `OC_LDAP_BIND_DN` and `OC_LDAP_BIND_PASSWORD`.";
    /// The account backend has nothing at a configured base.
    DirectoryBase = "directory_base", "Correct `OC_LDAP_USER_BASE_DN` or `OC_LDAP_GROUP_BASE_DN`; the line says which name is not there.";
    /// The account backend does not know an attribute or object class, or does not take it on such an entry.
    DirectorySchema = "directory_schema", "Load the schema into the directory, or correct `OC_LDAP_*_SCHEMA_*`, `OC_LDAP_*_OBJECTCLASS` and `PROXY_LDAP_*_ATTRIBUTE`; the line has the server's words.";
    /// The bind user may not do that.
    DirectoryRights = "directory_rights", "Give the bind user (`OC_LDAP_BIND_DN`) the right to read and write below the bases, or set `OC_LDAP_SERVER_WRITE_ENABLED=false`.";
    /// The account backend's certificate is not trusted.
    DirectoryCertificate = "directory_certificate", "Name the certificate authority in `OC_LDAP_CACERT`, and a server name that is in the certificate in `OC_LDAP_URI`.";
    /// The account backend refused a change.
    DirectoryRefused = "directory_refused", "Look at the schema of the directory and at the rights of `OC_LDAP_BIND_DN`.";
    /// The service registry does not answer; the nodes it named last go on being used.
    RegistryUnavailable = "registry_unavailable", "Look at the NATS server that `MICRO_REGISTRY_ADDRESS` names; where there is none, name addresses in `services` and set `MICRO_REGISTRY=memory`.";
    /// The store that replicas share does not answer; each goes on alone, and logouts are told later.
    StoreUnavailable = "store_unavailable", "Look at the NATS or Redis that `OC_CACHE_STORE_NODES` or `PROXY_OIDC_USERINFO_CACHE_STORE_NODES` names.";
    /// The event bus does not answer; what it was to be told is dropped.
    EventsUnavailable = "events_unavailable", "Look at the NATS server that `OC_EVENTS_ENDPOINT` or `PROXY_EVENTS_ENDPOINT` names; an empty value switches events off.";
    /// The collector of traces does not answer; spans are dropped.
    TracesUnavailable = "traces_unavailable", "Look at the collector that `OTEL_EXPORTER_OTLP_ENDPOINT` or `PROXY_TRACING_ENDPOINT` names; `OTEL_SDK_DISABLED=true` switches traces off.";
    /// An entry of the service registry cannot be read, and is left out.
    RegistryEntry = "registry_entry", "Look at who writes into the bucket `service-registry`; the other entries are not concerned.";
    /// No role mapping matches.
    NoRole = "no_role", "Compare the values in the line with `PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING`; ask whether the client was granted the scope of the role claim, or userinfo alone has it and `PROXY_OIDC_SKIP_USER_INFO` is on. A nested claim is named by its path, `PROXY_ROLE_ASSIGNMENT_OIDC_CLAIM=realm_access.roles`.";
    /// The role attribute holds somebody else's data.
    RoleAttributeForeign = "role_attribute_foreign", "Set `PROXY_LDAP_ROLE_ATTRIBUTE` to an attribute that is free.";
    /// The service that keeps roles could not be asked.
    RoleStoreUnavailable = "role_store_unavailable", "Look at the settings service and at the network between.";
    /// The service that keeps roles refused a change.
    RoleStoreRefused = "role_store_refused", "The service account (`OC_SERVICE_ACCOUNT_ID`) has to be among those of the settings service (`SETTINGS_SERVICE_ACCOUNT_IDS`), and the role one that it defines.";
    /// The identity that backends are told was not given out.
    IdentityUnavailable = "identity_unavailable", "Look at the CS3 gateway and its line of the same time, and at the machine key (`OC_MACHINE_AUTH_API_KEY`).";
    /// The policies service refuses what the request would do.
    DeniedByPolicy = "denied_by_policy", "See the policies of `PROXY_POLICIES_QUERY`; the line names file and path.";
    /// The policies service could not be asked.
    PoliciesUnavailable = "policies_unavailable", "Look at the policies service, whether it is registered and runs; nothing passes meanwhile. `PROXY_POLICIES_QUERY` switches it on.";
    /// The identity does not fit into headers.
    IdentityTooLarge = "identity_too_large", "Give the user fewer groups, or use `identity: reva`.";
    /// A group of that name is not managed by claims; it was left alone.
    GroupUnmanaged = "group_unmanaged", "Mark the group (`PROXY_LDAP_GROUP_MANAGED_ATTRIBUTE`), or set `PROXY_AUTOPROVISION_GROUPS_ADOPT=true`.";
    /// The groups of a claim were not applied.
    GroupSyncSkipped = "group_sync_skipped", "See the line's text: overage, wrong type or more than 500 values.";
    /// Setting the session up takes longer than a request may wait; it goes on.
    SetupTimeout = "setup_timeout", "Look at how long the issuer and the directory take.";
    /// Too many sessions are being set up at once.
    SetupOverload = "setup_overload", "Nothing, it passes; if not, look at how long the issuer and the directory take.";
    /// No route matches.
    NoRoute = "no_route", "Add a route to `policies` or `additional_policies` in proxy.yaml, or correct the path of the client.";
    /// A dot segment is in the path.
    DotSegment = "dot_segment", "Nothing; look at the client if it is one of yours.";
    /// An escaped separator is in the path.
    EscapedSeparator = "escaped_separator", "Nothing; look at the client if it is one of yours.";
    /// The target has bytes that two parsers could read differently.
    BadTarget = "bad_target", "Nothing; look at the client if it is one of yours.";
    /// Host is missing, doubled or not a host.
    BadHost = "bad_host", "Look at the client or the proxy in front, and at `OC_URL`.";
    /// A header name with a meaning came with `_` or another sign in place of a dash.
    Underscore = "underscore", "Nothing; look at who sends it.";
    /// The framing of the request is ambiguous.
    Framing = "framing", "Nothing; look at the client or the proxy in front.";
    /// The request's head breaks the rules of HTTP.
    UnreadableHead = "unreadable_head", "Nothing, if it is a scanner. A client of yours may speak TLS to a plain port, or plain HTTP to a TLS one: see `PROXY_TLS`.";
    /// A header is too large.
    HeaderTooLarge = "header_too_large", "Look at the client; the header block may have 64 KiB, a value 32 KiB.";
    /// The request target is too long.
    TargetTooLong = "target_too_long", "Look at the client; the target may have 16 KiB.";
    /// The method may not be used here.
    MethodNotAllowed = "method_not_allowed", "Nothing; look at the client if it is one of yours.";
    /// An `Expect` other than `100-continue`.
    ExpectationFailed = "expectation_failed", "Nothing; look at the client if it is one of yours.";
    /// Destination or If points to another route's backend.
    ForeignDestination = "foreign_destination", "Nothing: a move between backends cannot work.";
    /// The backend could not be reached.
    BackendUnreachable = "backend_unreachable", "Look at the backend; the line names its address, which is that of `services` or of the `backend` of the route in proxy.yaml.";
    /// A backend answers 401 to a request that carries our identity.
    IdentityRefusedByBackend = "identity_refused_by_backend", "Compare `OC_JWT_SECRET` with the secret of the backend: a token signed with another one is a stranger's.";
    /// The backend's answer was unusable.
    BackendMalformed = "backend_malformed", "Look at the backend; the line says what was wrong.";
    /// The backend did not answer in time.
    BackendTimeout = "backend_timeout", "Look at the backend; the line names its address.";
    /// All connections to the backend are in use and the queue is full.
    BackendBusy = "backend_busy", "Raise the backend's limit, or look at why it is slow.";
    /// The client left before the answer.
    ClientGone = "client_gone", "Nothing.";
    /// Nothing of the request's or the answer's body moved for so long that both sides were cut.
    TransferIdle = "transfer_idle", "Nothing, if a client or a line has gone away. If a backend works in silence in the middle of a body, raise `PROXY_TRANSFER_IDLE_TIMEOUT`.";
    /// The client's body stopped.
    ClientBody = "client_body", "Nothing.";
    /// Plain HTTP where HTTPS is wanted.
    HttpsRedirect = "https_redirect", "Nothing.";
    /// The gateway is stopping.
    Draining = "draining", "Nothing.";
    /// The gateway has a fault.
    Internal = "internal", "Report it, with the request id and the log around it.";
}

impl Reason {
    /// The advice as a line of the log has it; `None` where nothing is to be done.
    #[must_use]
    pub fn hint(self) -> Option<String> {
        let advice = self.advice();
        (!advice.starts_with("Nothing")).then(|| advice.replace('`', ""))
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fmt::Write as _;

    use super::*;

    const INTRODUCTION: &str = "<!-- Generated from src/model/reason.rs: UPDATE=1 cargo test --lib troubleshooting -->\n\
        # Troubleshooting\n\n\
        A refused request, and everything else worth a look, leaves one line in the log at the level `warn`, which is the\n\
        default, with a `reason` and the `request-id` that the client got in `X-Request-Id` and in the answer's body. The\n\
        first ten lines after a start say what the gateway understood.\n\n\
        1. Find the line: `grep REQUEST-ID`, or the newest one with `\"message\":\"refused\"`. Its `detail` says what was seen.\n\
        2. Look the `reason` up below: cause, what to do, which settings decide, what such a line looks like.\n\
        3. `davgate explain --token-file FILE` goes through the same steps with a token at hand, `davgate explain PATH` tells\n\
        route and backend of a path ([What would happen](explain.md)); `davgate config check --online`\n\
        asks issuer, account backend and backends; `davgate config print --changed` shows what is set and where.\n";

    /// The settings an advice names, as they are written there.
    fn settings(advice: &str) -> Vec<&str> {
        let words = advice.split('`').skip(1).step_by(2);
        let names = words.map(|word| word.split('=').next().unwrap_or_default());
        let is_setting = |name: &&str| {
            let shouted = name.len() > 3
                && name
                    .bytes()
                    .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
            shouted || ["role_mapping", "required_claims", "identity: reva"].contains(name)
        };
        let mut found: Vec<&str> = names.filter(is_setting).collect();
        found.dedup();
        found
    }

    fn rendered() -> String {
        let mut page = INTRODUCTION.to_owned();
        for reason in Reason::ALL {
            let (code, meaning, advice) = (reason.code(), reason.meaning(), reason.advice());
            let settings = match settings(advice).as_slice() {
                [] => "none".to_owned(),
                names => format!("`{}`", names.join("`, `")),
            };
            let detail = meaning.trim_end_matches('.').replace(['"', '\\'], "'");
            let hint = reason
                .hint()
                .map(|hint| format!(",\"hint\":\"{hint}\""))
                .unwrap_or_default();
            write!(
                page,
                "\n## `{code}`\n\n{meaning} {advice}\n\nSettings: {settings}\n\n\
                 ```json\n\
                 {{\"level\":\"warn\",\"service\":\"proxy\",\"time\":\"2026-11-29T09:30:00.000Z\",\"message\":\"refused\",\
                 \"reason\":\"{code}\",\"request-id\":\"0192f0c1-5e2a-7c3d-9b1e-3f6a8d2c4e70\",\
                 \"client.address\":\"192.0.2.7\",\"detail\":\"{detail}\"{hint}}}\n```\n"
            )
            .unwrap();
        }
        page
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "asks whether to write the page; it is no setting of the gateway"
    )]
    fn the_troubleshooting_page_has_every_reason() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/troubleshooting.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, rendered()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == rendered(),
            "docs/troubleshooting.md is not up to date: UPDATE=1 cargo test --lib troubleshooting"
        );
    }

    #[test]
    fn each_reason_has_a_word_of_its_own_that_fits_a_table_and_a_query() {
        let mut seen = HashSet::new();
        for reason in Reason::ALL {
            let code = reason.code();
            assert!(seen.insert(code), "{code} is there twice");
            assert!(
                code.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{code}"
            );
            for text in [reason.meaning(), reason.advice()] {
                assert!(
                    !text.is_empty() && !text.contains(['|', '\n']),
                    "{code}: {text}"
                );
            }
        }
    }
}
