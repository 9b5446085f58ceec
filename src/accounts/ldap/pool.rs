//! Bound connections kept for reuse. ldap3 does not reconnect by itself, so each is looked at before it serves again.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use ldap3::{LdapConnAsync, LdapConnSettings};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout};
use url::Url;

use super::DirectoryError;
use super::connection::{Connection, OpError};
use super::tls;
use crate::config::Secret;
use crate::config::accounts::Ldap;
use crate::model::Reason;
use crate::telemetry::PoolLevel;

/// A connection unused for longer is asked whether it still lives: firewalls drop idle ones without a word.
const PROBE_AFTER: Duration = Duration::from_secs(30);
/// How long that question may take.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// A connection on loan.
pub(super) type Loan = Object<Connector>;

/// The pool. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connections(Pool<Connector>);

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connections({:?})", self.0.status())
    }
}

impl Connections {
    /// A pool for these settings; connects at first use.
    ///
    /// # Errors
    /// [`DirectoryError::Unusable`] if a URI or the CA file cannot be used.
    pub(super) fn new(settings: &Ldap) -> Result<Self, DirectoryError> {
        Self::build(Connector::new(settings)?, settings)
    }

    fn build(connector: Connector, settings: &Ldap) -> Result<Self, DirectoryError> {
        Pool::builder(connector)
            .max_size(settings.pool_size.max(1))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(settings.timeout))
            .build()
            .map(Self)
            .map_err(|error| DirectoryError::Unusable(error.to_string()))
    }

    /// A connection that was good a moment ago.
    pub(super) async fn borrow(&self) -> Result<Loan, OpError> {
        self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => OpError::Directory(error),
            error => OpError::Directory(DirectoryError::Unavailable(error.to_string())),
        })
    }

    /// How many connections there are, and may be.
    pub(super) fn level(&self) -> PoolLevel {
        let status = self.0.status();
        PoolLevel {
            used: status.size.saturating_sub(status.available) as u64,
            idle: status.available as u64,
            waiting: status.waiting as u64,
            limit: status.max_size as u64,
        }
    }

    /// Closes what is idle: where one connection broke, the others to that server most likely did too.
    pub(super) fn drop_idle(&self) {
        self.0.retain(|_, _| false);
    }
}

/// Opens and checks connections.
pub(super) struct Connector {
    uris: Vec<Url>,
    tls: Arc<ClientConfig>,
    start_tls: bool,
    bind_dn: String,
    bind_password: Secret,
    limit: Duration,
    connect_limit: Duration,
    /// Where the last connection went; the next one starts there.
    last_good: AtomicUsize,
    /// Connections that last served before this are dropped without asking.
    distrusted_before: Mutex<Option<Instant>>,
    probe_after: Duration,
}

impl Manager for Connector {
    type Type = Connection;
    type Error = DirectoryError;

    async fn create(&self) -> Result<Connection, DirectoryError> {
        let first = self.last_good.load(Ordering::Relaxed);
        let mut failure = None;
        for offset in 0..self.uris.len() {
            let position = (first + offset) % self.uris.len();
            let uri = &self.uris[position];
            // One silent server must leave time for the others.
            let opened = timeout(self.connect_limit, self.open(uri)).await;
            match opened.unwrap_or_else(|_| Err(silent(uri))) {
                Ok(connection) => {
                    self.last_good.store(position, Ordering::Relaxed);
                    return Ok(connection);
                }
                Err(error) => {
                    tracing::debug!(uri = %uri, %error, "LDAP server left out");
                    failure = Some(error);
                }
            }
        }
        Err(failure.unwrap_or_else(|| DirectoryError::Unavailable("no LDAP URI".to_owned())))
    }

    async fn recycle(
        &self,
        connection: &mut Connection,
        _: &Metrics,
    ) -> RecycleResult<DirectoryError> {
        if !connection.is_usable() {
            return Err(RecycleError::message("broken"));
        }
        let distrusted = *lock(&self.distrusted_before);
        if distrusted.is_some_and(|before| connection.last_used() < before) {
            return Err(RecycleError::message("older than one that was found dead"));
        }
        if connection.last_used().elapsed() < self.probe_after {
            return Ok(());
        }
        let asked = Instant::now();
        if connection.probe(PROBE_LIMIT.min(self.limit)).await.is_err() {
            *lock(&self.distrusted_before) = Some(asked);
            return Err(RecycleError::message("no answer after idling"));
        }
        Ok(())
    }
}

impl Connector {
    fn new(settings: &Ldap) -> Result<Self, DirectoryError> {
        let unusable = |why: String| DirectoryError::Unusable(why);
        let uris = settings
            .uris
            .iter()
            .map(|uri| parse_uri(uri).ok_or_else(|| unusable(format!("no LDAP URI: {uri}"))))
            .collect::<Result<Vec<_>, _>>()?;
        if uris.is_empty() {
            return Err(unusable("no LDAP URI".to_owned()));
        }
        Ok(Self {
            connect_limit: settings.timeout / u32::try_from(uris.len()).unwrap_or(u32::MAX),
            uris,
            tls: tls::client_config(settings.cacert.as_deref(), settings.insecure)?,
            start_tls: settings.start_tls,
            bind_dn: settings.bind_dn.clone(),
            bind_password: settings.bind_password.clone(),
            limit: settings.timeout,
            last_good: AtomicUsize::new(0),
            distrusted_before: Mutex::new(None),
            probe_after: PROBE_AFTER,
        })
    }

    /// Connects, secures, binds, in this order: a StartTLS that is refused ends here, before the password is sent.
    async fn open(&self, uri: &Url) -> Result<Connection, DirectoryError> {
        let settings = LdapConnSettings::new()
            .set_conn_timeout(self.connect_limit)
            .set_config(Arc::clone(&self.tls))
            .set_starttls(self.start_tls);
        let (driver, ldap) = LdapConnAsync::from_url_with_settings(settings, uri)
            .await
            .map_err(|error| unreachable(uri, &error.to_string()))?;
        // Ends by itself when the last handle is dropped or the server closes.
        tokio::spawn(async move {
            if let Err(error) = driver.drive().await {
                tracing::debug!(%error, "LDAP connection ended");
            }
        });
        let mut connection = Connection::new(ldap, self.limit);
        if !self.bind_dn.is_empty() {
            connection
                .bind(&self.bind_dn, self.bind_password.reveal())
                .await
                .map_err(|error| match DirectoryError::from(error) {
                    DirectoryError::Unavailable(why) => {
                        DirectoryError::Unavailable(format!("{uri}: bind: {why}"))
                    }
                    // A bind DN that is not there is a wrong bind DN, not a wrong base.
                    DirectoryError::Misconfigured { detail, .. } => DirectoryError::Misconfigured {
                        reason: Reason::DirectoryCredentials,
                        detail: format!("{uri}: bind: {detail}"),
                    },
                    error => DirectoryError::Unavailable(format!("{uri}: bind: {error}")),
                })?;
        }
        Ok(connection)
    }
}

/// No connection; a certificate that is not trusted has settings of its own.
fn unreachable(uri: &Url, why: &str) -> DirectoryError {
    let is_about_it = ["certificate", "UnknownIssuer", "NotValidForName"];
    if is_about_it.iter().any(|words| why.contains(words)) {
        return DirectoryError::Misconfigured {
            reason: Reason::DirectoryCertificate,
            detail: format!(
                "{uri}: {why}; see OC_LDAP_CACERT and the server's name in OC_LDAP_URI"
            ),
        };
    }
    DirectoryError::Unavailable(format!("{uri}: {why}; see OC_LDAP_URI"))
}

fn silent(uri: &Url) -> DirectoryError {
    DirectoryError::Unavailable(format!("{uri}: no answer in time"))
}

fn parse_uri(text: &str) -> Option<Url> {
    Url::parse(text)
        .ok()
        .filter(|uri| matches!(uri.scheme(), "ldap" | "ldaps") && uri.host_str().is_some())
}

fn lock(distrusted: &Mutex<Option<Instant>>) -> MutexGuard<'_, Option<Instant>> {
    distrusted.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Instant as WallInstant;

    use tokio::net::TcpListener;

    use super::*;
    use crate::config::accounts::{DisableMechanism, LdapScope};

    /// Anonymous, so that connecting needs no answer from the server.
    fn settings(uri: String) -> Ldap {
        let text = String::new;
        Ldap {
            uris: vec![uri],
            cacert: None,
            insecure: true,
            start_tls: false,
            pool_size: 4,
            timeout: Duration::from_millis(300),
            bind_dn: text(),
            bind_password: Secret::default(),
            write_enabled: false,
            server_uuid: false,
            id_is_octet_string: false,
            user_base_dn: text(),
            user_scope: LdapScope::Subtree,
            user_filter: text(),
            user_object_class: text(),
            user_aux_class: text(),
            user_id: text(),
            username: text(),
            mail: text(),
            display_name: text(),
            user_type: text(),
            user_tenant: None,
            external_identity: text(),
            role: text(),
            disable: DisableMechanism::None,
            group_base_dn: text(),
            group_create_base_dn: text(),
            group_scope: LdapScope::Subtree,
            group_filter: text(),
            group_object_class: text(),
            group_aux_class: text(),
            group_id: text(),
            group_name: text(),
            group_member: text(),
            group_managed: text(),
        }
    }

    #[tokio::test]
    async fn f11_of_many_connections_forgotten_by_a_firewall_only_the_first_is_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("ldap://{}", listener.local_addr().unwrap());
        let settings = settings(uri);
        let mut connector = Connector::new(&settings).unwrap();
        connector.probe_after = Duration::ZERO;
        let pool = Connections::build(connector, &settings).unwrap();
        let mut loans = Vec::new();
        for _ in 0..4 {
            loans.push(pool.borrow().await.unwrap());
        }
        drop(loans);
        let started = WallInstant::now();
        drop(pool.borrow().await.unwrap());
        assert!(started.elapsed() < settings.timeout * 3);
    }

    #[test]
    fn only_ldap_uris_are_taken() {
        for uri in ["http://x", "ldap:", "x", "ldapi:///run/x"] {
            assert!(
                Connections::new(&settings(uri.to_owned())).is_err(),
                "{uri}"
            );
        }
    }
}
