//! From values to the validated [`Config`]: real types, and every rule that spans more than one setting.

mod accounts;
mod csp;
mod deployment;
mod http;
mod identity;
mod issuers;
mod later;
mod ldap;
mod roles;
mod route;
mod routes;
mod selector;
mod services;
mod stores;
mod traces;

pub(crate) use csp::DIRECTIVES;
pub(crate) use route::ROUTE_KEYS;

use std::path::PathBuf;

use super::Config;
use super::accounts::AccountBackend;
use super::document::Document;
use super::flavor::Boot;
use super::key::Key;
use super::notes::Notes;
use super::table;
use super::values::Values;
use super::vars::Vars;

/// What the builders read and where they note mistakes.
pub(crate) struct Build<'a> {
    pub(crate) boot: &'a Boot,
    pub(crate) values: &'a Values,
    /// `proxy.yaml`, for the lines of structures.
    pub(crate) file: Option<&'a Document>,
    pub(crate) vars: &'a dyn Vars,
    pub(crate) notes: &'a mut Notes,
    /// Files that were read besides the two configuration files.
    pub(crate) files: Vec<PathBuf>,
}

impl Build<'_> {
    /// The configuration. It counts only if no mistake was noted; `None` if there was one that leaves no value to go on with.
    pub(crate) fn config(&mut self) -> Option<Config> {
        self.parts_not_built();
        let (issuers, webfinger) = self.issuers();
        let deployment = self.deployment();
        let accounts = self.accounts(&issuers);
        let policies = self.policies();
        let services = self.services(&policies);
        let csp = csp::load(self);
        let public_url = self.public_url();
        let identity = self.identity(!matches!(
            accounts.as_ref().map(|accounts| &accounts.backend),
            Some(AccountBackend::Cs3)
        ));
        self.warn_of_returned_tokens(&policies, &identity);
        let http = self.http(public_url?);
        let policy_selector = self.policy_selector(&policies);
        let accounts = accounts?;
        let logins = self.logins(matches!(accounts.backend, AccountBackend::Cs3));
        Some(Config {
            flavor: self.boot.flavor,
            compat: self.boot.compat,
            asked_for_release: self.asked_for_release(&policies),
            log: self.log(),
            debug: self.debug_listener(),
            http,
            upstream: self.upstream(),
            outbound_proxies: self.outbound_proxies(),
            dpop_nonce: self.values.get(table::oidc::DPOP_NONCE),
            rewrite_well_known: self.values.get(table::oidc::REWRITE_WELL_KNOWN),
            webfinger: self.webfinger(webfinger),
            sessions: self.sessions(),
            accounts,
            logins,
            deployment: deployment?,
            identity,
            policies,
            services,
            stores: self.stores(),
            events: self.events(),
            policy_selector: policy_selector?,
            csp,
            csp_issuer_origins: self.values.get(table::routes::CSP_ISSUER_ORIGINS),
            data_gateway: self.data_gateway(),
            mfa: self.mfa(),
            traces: self.traces(),
            issuers,
        })
    }

    /// Notes a mistake at the place a key was set.
    pub(crate) fn wrong(&mut self, key: impl AsRef<str>, text: impl Into<String>) {
        let place = self.values.place(key);
        self.notes.mistake(place, text);
    }

    /// A variable `OC_X` as this deployment writes it. Naming the other flavour's would lead somebody to set it, and
    /// with it the flavour.
    pub(crate) fn own(&self, name: &'static str) -> String {
        self.boot.flavor.own(name)
    }

    /// A file that was named has to be readable.
    pub(crate) fn readable(&mut self, key: Key<PathBuf>) {
        if !self.values.is_set(key) {
            return;
        }
        let Some(path) = self.values.get(key) else {
            return;
        };
        match std::fs::File::open(&path) {
            Ok(_) => self.files.push(path),
            Err(error) => self.wrong(
                key,
                format!("names {}, which cannot be read: {error}", path.display()),
            ),
        }
    }
}
