//! Reading the configuration again: on HUP and when a file changed. All or nothing, and no connection is dropped.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use crate::config::{Compat, Config, Effect, LoadOptions, Loaded, Vars, table};
use crate::process::{Process, Snapshot};
use crate::server::Tls;
use crate::session::loader::Loader;
use crate::session::measured::MeasuredLoader;
use crate::session::rules::Rules;
use crate::telemetry::{ControlMetrics, LogLevel};

/// Where the configuration comes from.
pub struct Source {
    /// Folder and files.
    pub options: LoadOptions,
    /// Variables.
    pub vars: Box<dyn Vars + Send + Sync>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Puts a new configuration in force.
#[derive(Debug)]
pub struct Reloader {
    source: Source,
    process: Arc<Process>,
    loader: Arc<Loader>,
    tls: Option<Arc<Tls>>,
    metrics: ControlMetrics,
    log_level: LogLevel,
    in_force: Mutex<InForce>,
}

#[derive(Debug)]
struct InForce {
    loaded: Loaded,
    files: Vec<Seen>,
    rules: Rules,
    found_release: Option<Compat>,
}

/// A file as it was last seen.
type Seen = (PathBuf, Option<(SystemTime, u64)>);

/// Between looks at the files.
const LOOK: Duration = Duration::from_secs(1);

impl Reloader {
    /// A reloader for what was started from `loaded`.
    #[must_use]
    pub fn new(
        source: Source,
        loaded: Loaded,
        process: Arc<Process>,
        loader: Arc<Loader>,
        tls: Option<Arc<Tls>>,
        metrics: ControlMetrics,
        log_level: LogLevel,
    ) -> Self {
        let files = look_at(&loaded.files);
        let rules = loader.rules.clone();
        let found_release = source.options.found_release;
        Self {
            source,
            process,
            loader,
            tls,
            metrics,
            log_level,
            in_force: Mutex::new(InForce {
                loaded,
                files,
                rules,
                found_release,
            }),
        }
    }

    /// What workers share.
    #[must_use]
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// The configuration in force as JSON, secrets masked.
    #[must_use]
    pub fn effective_json(&self) -> String {
        format!(
            "{:#}",
            self.in_force
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .loaded
                .json()
        )
    }

    /// Reads everything again and puts it in force, or keeps what is and says why. Blocks on files. `true`: in force.
    pub fn reload(&self) -> bool {
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self.try_reload(&mut in_force);
        self.metrics.reloaded(done, self.process.clock.now());
        done
    }

    /// The release the backends said they are.
    #[must_use]
    pub fn found_release(&self) -> Option<Compat> {
        let in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        in_force.found_release
    }

    /// Puts the defaults of a release in force, as a reload does. Blocks on files. `true`: in force.
    pub fn serve_release(&self, release: Compat) -> bool {
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        in_force.found_release = Some(release);
        self.try_reload(&mut in_force)
    }

    /// Reloads when a file changed, until `stop`. A file that is being written is read when it came to rest: what two looks
    /// see alike. An editor that empties a file before it fills it would else put an empty configuration in force.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut changed = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let this = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || {
                let now = this.change();
                if now.is_some() && now == changed {
                    this.reload();
                    return None;
                }
                now
            });
            changed = looked.await.unwrap_or_else(|_| {
                tracing::error!("the watch of the configuration's files failed");
                None
            });
        }
    }

    /// What the files look like now, if that is not what is in force.
    fn change(&self) -> Option<Vec<Seen>> {
        let in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let now = look_at(&in_force.loaded.files);
        let differs =
            now != in_force.files || self.tls.as_ref().is_some_and(|tls| tls.has_changed());
        differs.then_some(now)
    }

    fn try_reload(&self, in_force: &mut InForce) -> bool {
        // Looked at before they are read: a change in between is seen as one.
        in_force.files = look_at(&in_force.loaded.files);
        let options = LoadOptions {
            found_release: in_force.found_release,
            ..self.source.options.clone()
        };
        let loaded = match Config::load(&options, &*self.source.vars) {
            Ok(loaded) => loaded,
            Err(mistakes) => {
                tracing::error!(%mistakes, "the new configuration has mistakes, the old one stays in force");
                return false;
            }
        };
        let snapshot = match Snapshot::compile(Arc::new(loaded.config.clone())) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                tracing::error!(%error, "the new configuration has mistakes, the old one stays in force");
                return false;
            }
        };
        if let Some(tls) = &self.tls
            && let Err(error) = tls.reload()
        {
            tracing::error!(%error, "the new certificate cannot be used, the old configuration stays in force");
            return false;
        }
        let changed = changed_keys(&in_force.loaded, &loaded);
        for key in changed.iter().filter(|key| effect(key) == Effect::Restart) {
            tracing::warn!(
                key,
                "the change of this setting needs a restart{}",
                but_for(key)
            );
        }
        snapshot.admit_issuer_origins(self.process.issuers.browser_origins());
        let requirements = snapshot.requirements.clone();
        let services = &self.process.directory;
        services.name_fixed(loaded.config.services.named.iter().cloned());
        let rules = in_force.rules.reloaded(&loaded.config, requirements);
        let named = loaded.config.services.named.iter().cloned();
        self.process.directory.name_fixed(named);
        self.process.snapshot.store(Arc::new(snapshot));
        if changed
            .iter()
            .any(|key| effect(key) == Effect::NewSessions || *key == ISSUERS)
        {
            let loader = Arc::new(self.loader.with_rules(rules.clone()));
            let loader = MeasuredLoader::new(loader, self.metrics.clone());
            self.process.sessions.replace_loader(Arc::new(loader));
        }
        if changed.contains(&LOG_LEVEL) {
            self.log_level.set(loaded.config.log.level, "a reload");
        }
        tracing::info!(changed = ?changed, "the configuration was read again and is in force");
        in_force.files = look_at(&loaded.files);
        in_force.loaded = loaded;
        in_force.rules = rules;
        true
    }
}

/// Put in force by a change of it, and by none of others: what the debug listener was told stays until then.
const LOG_LEVEL: &str = "log.level";

/// Of a list of issuers the role assignment is in force at once, the rest at the next start.
const ISSUERS: &str = "oidc.issuers";

fn but_for(key: &str) -> &'static str {
    if key == ISSUERS {
        ", but for the role_assignment of an issuer"
    } else {
        ""
    }
}

/// As the table says, and docs/settings.md.
fn effect(key: &str) -> Effect {
    table::setting(key).map_or(Effect::Restart, |setting| setting.effect)
}

fn changed_keys(old: &Loaded, new: &Loaded) -> Vec<&'static str> {
    let differs = |one: &crate::config::Effective| {
        old.effective
            .iter()
            .find(|other| other.key == one.key)
            .is_none_or(|other| !one.is_same(other))
    };
    new.effective
        .iter()
        .filter(|one| differs(one))
        .map(|one| one.key)
        .collect()
}

fn look_at(files: &[PathBuf]) -> Vec<Seen> {
    let seen = |path: &PathBuf| {
        fs::metadata(path)
            .and_then(|file| Ok((file.modified()?, file.len())))
            .ok()
    };
    files
        .iter()
        .map(|path| (path.clone(), seen(path)))
        .collect()
}
