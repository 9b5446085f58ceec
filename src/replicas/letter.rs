//! One fact that replicas tell each other, sealed under a name of its own.

use serde::{Deserialize, Serialize};

use super::Memory;
use super::seal::Seal;
use crate::auth::{Logout, Proof};
use crate::model::UnixTime;

/// A record of the store.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) name: String,
    pub(super) sealed: Vec<u8>,
}

/// What it says. Issuers are named, because their order may differ between replicas while a configuration is rolled out.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fact {
    Logout {
        issuer: String,
        logout: Logout,
    },
    Proof {
        id: [u8; 16],
        owner: [u8; 16],
        expires_at: UnixTime,
    },
}

impl Letter {
    pub(super) fn of_logout(seal: &Seal, issuer: &str, logout: &Logout) -> Option<Self> {
        let fact = Fact::Logout {
            issuer: issuer.to_owned(),
            logout: logout.clone(),
        };
        Self::of(seal, &fact)
    }

    pub(super) fn of_proof(seal: &Seal, proof: &Proof) -> Option<Self> {
        let (id, owner, expires_at) = proof.told();
        let fact = Fact::Proof {
            id,
            owner,
            expires_at,
        };
        Self::of(seal, &fact)
    }

    /// The name stands for the whole fact: two logouts of one session are two facts, and the earlier may be the one that ends
    /// more.
    fn of(seal: &Seal, fact: &Fact) -> Option<Self> {
        let text = serde_json::to_vec(fact).ok()?;
        let name = seal.name(&[&text]);
        let sealed = seal.close(&name, &text)?;
        Some(Self { name, sealed })
    }

    /// `None` for what no replica wrote.
    pub(super) fn open(seal: &Seal, name: &str, sealed: &[u8]) -> Option<Fact> {
        let text = seal.open(name, sealed)?;
        serde_json::from_slice(&text).ok()
    }
}

impl Fact {
    /// Lets it count here.
    pub(super) fn enter(self, memory: &Memory) {
        match self {
            Self::Logout { issuer, logout } => {
                let position = memory.issuers.iter().position(|known| *known == issuer);
                let Some(issuer) = position else { return };
                let ended = memory.sessions.end(&Logout { issuer, ..logout });
                tracing::info!(issuer, ended, "logout at another replica");
            }
            Self::Proof {
                id,
                owner,
                expires_at,
            } => {
                let proof = Proof::heard(id, owner, expires_at);
                memory.proofs.note(&proof, memory.clock.now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_read_as_it_was_told_and_by_replicas_alone() {
        let [seal, other] = ["a", "b"].map(|secret| Seal::new(secret.as_bytes()).unwrap());
        let logout = Logout {
            issuer: 3,
            subject: Some("mara".into()),
            sid: Some("login-1".into()),
            issued_at: UnixTime(1_000),
            ends_offline_access: true,
        };
        let letter = Letter::of_logout(&seal, "https://issuer.example", &logout).unwrap();
        let told = Letter::open(&seal, &letter.name, &letter.sealed).unwrap();
        let expected = Fact::Logout {
            issuer: "https://issuer.example".into(),
            logout: Logout {
                issuer: 0,
                ..logout
            },
        };
        assert_eq!(told, expected);
        assert_eq!(Letter::open(&other, &letter.name, &letter.sealed), None);
        let seen = String::from_utf8_lossy(&letter.sealed);
        assert!(!seen.contains("mara") && !seen.contains("login-1"));

        let proof = Proof::heard([1; 16], [2; 16], UnixTime(5));
        let letter = Letter::of_proof(&seal, &proof).unwrap();
        let again = Letter::of_proof(&seal, &proof).unwrap();
        assert_eq!(letter.name, again.name);
        let told = Letter::open(&seal, &letter.name, &letter.sealed);
        assert!(matches!(told, Some(Fact::Proof { id, .. }) if id == [1; 16]));
    }
}
