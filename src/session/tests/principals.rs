//! Restricted identities and those of accounts, many at once: they never change places.

use crate::session::account::Origin;
use crate::session::principal::OwnIdentity;
use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderValue;
use tokio::runtime::Handle;

use super::{MAX_STALE, snapshot};
use crate::config;
use crate::credentials::{BearerToken, Credential, CredentialKind, Password, Share, ShareSecret};
use crate::headers::IdentityHeaders;
use crate::model::Clock;
use crate::session::account::{AccountSnapshot, Accounts};
use crate::session::loader::{Loaded, SessionLoader};
use crate::session::store::Sessions;
use crate::session::{
    AccountState, Digester, Identity, LoadError, Principal, Requirements, SessionFacts,
};

/// Everybody is `mara`: her token, her password, an application's password of hers, her link.
#[derive(Debug)]
struct Owner {
    clock: Clock,
    accounts: Accounts,
}

fn headers(text: &str) -> IdentityHeaders {
    IdentityHeaders {
        access_token: Some(HeaderValue::from_str(text).unwrap()),
        remote: None,
    }
}

#[async_trait]
impl SessionLoader for Owner {
    async fn load(&self, credential: &Credential, generation: u64) -> Result<Loaded, LoadError> {
        let now = self.clock.now();
        let state = || {
            let whole = AccountSnapshot {
                identity: headers("whole"),
                ..snapshot(now)
            };
            self.accounts.adopt("mara", Origin::Issuer(0), whole)
        };
        let own = |told: &str, account| {
            Identity::Own(Box::new(OwnIdentity {
                headers: headers(told),
                last_at: now.plus(MAX_STALE),
                account,
            }))
        };
        tokio::task::yield_now().await;
        let (principal, identity) = match credential {
            Credential::Bearer(_) | Credential::Dpop(_) | Credential::SignedUrl(_) => {
                (Principal::Account, Identity::OfAccount(state()))
            }
            Credential::Basic(password) if password.reveal() == "whole" => {
                (Principal::Account, Identity::OfAccount(state()))
            }
            Credential::Basic(password) => {
                (Principal::Account, own(password.reveal(), Some(state())))
            }
            Credential::Share(share) => (Principal::Share, own(&share.token, None)),
        };
        Ok(Loaded {
            facts: SessionFacts {
                kind: credential.kind(),
                principal,
                identity,
                issuer: 0,
                expires_at: None,
                leeway: std::time::Duration::ZERO,
                issued_at: None,
                auth_time: None,
                key: None,
                mfa: true,
                requirements: Requirements::default(),
                policy: None,
                generation,
            },
            subject: None,
            sid: None,
            was_asked_about: true,
            recheck_at: None,
        })
    }

    async fn refresh_account(&self, account: &AccountState) -> Result<(), LoadError> {
        account.replace(AccountSnapshot {
            identity: headers("whole"),
            ..snapshot(self.clock.now())
        });
        Ok(())
    }
}

/// Credentials of one person that share every text they have, and what each is told as.
fn credentials() -> Vec<(Credential, &'static str)> {
    let share = |token: &str, secret: &str| {
        Credential::Share(Share {
            token: token.into(),
            secret: ShareSecret::Password(secret.to_owned().into()),
        })
    };
    vec![
        (BearerToken::new("link").into(), "whole"),
        (BearerToken::with_proof("link", "key").into(), "whole"),
        (Credential::Basic(Password::new("link", "whole")), "whole"),
        (Credential::Basic(Password::new("link", "app")), "app"),
        (Credential::Basic(Password::new("mara", "link")), "link"),
        (share("link", "whole"), "link"),
        (share("link", ""), "link"),
        (share("app", "link"), "app"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restricted_identity_and_its_owners_never_change_places() {
    let clock = Clock::shifted();
    let loader = Arc::new(Owner {
        clock: clock.clone(),
        accounts: Accounts::default(),
    });
    let digester = Digester::random().unwrap();
    let settings = config::Sessions {
        cache_bytes: 64 * 1024 * 1024,
        setup_timeout: std::time::Duration::from_secs(60),
    };
    let sessions = Sessions::new(
        settings,
        MAX_STALE,
        digester.clone(),
        loader,
        clock.clone(),
        Handle::current(),
    );
    let visitors = (0..8).map(|visitor| {
        let (sessions, digester, clock) = (Arc::clone(&sessions), digester.clone(), clock.clone());
        tokio::spawn(async move {
            for round in 0..200 {
                let all = credentials();
                let (credential, told) = &all[(visitor + round) % all.len()];
                let digest = digester.credential(credential);
                let session = sessions
                    .obtain(digest, credential, super::HERE)
                    .await
                    .unwrap();
                let identity = session.facts.identity.told();
                assert_eq!(
                    identity.access_token.as_ref().unwrap(),
                    told,
                    "{credential:?}"
                );
                assert_eq!(session.facts.kind, credential.kind());
                assert_eq!(
                    session.facts.principal == Principal::Share,
                    credential.kind() == CredentialKind::Share
                );
                // Refreshes and set-ups run beside the others' requests.
                if round % 20 == visitor {
                    clock.advance(31);
                }
                if round % 50 == visitor {
                    sessions.replace_loader(sessions.loader());
                }
            }
        })
    });
    for visitor in visitors.collect::<Vec<_>>() {
        visitor.await.unwrap();
    }
}
