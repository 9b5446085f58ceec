//! Traces: the variables of OpenTelemetry, and those of OpenCloud and oCIS, which mean a collector too.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use url::Url;

use super::Build;
use crate::config::table::traces;
use crate::config::traces::{Collector, CollectorTls, Protocol, Traces};
use crate::config::values::Origin;
use crate::config::words::{TracesExporter, TracingType};

/// Ports of OTLP, as the protocol's specification gives them.
const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;
/// Where OTLP/HTTP takes traces.
const HTTP_PATH: &str = "/v1/traces";

impl Build<'_> {
    /// Every service of a deployment reads these variables, so that none of them stops the start: what cannot be used is warned
    /// of, and there are no traces.
    pub(super) fn traces(&mut self) -> Option<Traces> {
        let exporter = self.values.get(traces::TRACES_EXPORTER);
        if exporter == Some(TracesExporter::Console) {
            self.warn_of_traces(traces::TRACES_EXPORTER, "is not there; use otlp");
        }
        if self.values.get(traces::OTEL_DISABLED)
            || !(self.values.get(traces::TRACING_ENABLED) || exporter == Some(TracesExporter::Otlp))
        {
            return None;
        }
        let protocol: Protocol = self.values.get(traces::OTEL_PROTOCOL).unwrap_or_default();
        let (key, scheme, host, port, path) = self.collector_address(protocol)?;
        let ca_file = self.values.get(traces::OTEL_CERTIFICATE);
        if let Some(path) = &ca_file
            && let Err(error) = std::fs::File::open(path)
        {
            let text = format!("cannot be read ({error}); no traces are made");
            self.warn_of_traces(traces::OTEL_CERTIFICATE, &text);
            return None;
        }
        let tls = (scheme == "https").then_some(CollectorTls { ca_file });
        if scheme != "https" && scheme != "http" {
            self.warn_of_traces(key, "is neither http nor https; no traces are made");
            return None;
        }
        Some(Traces {
            collector: Collector {
                protocol,
                host,
                port,
                tls,
                path,
                headers: self.collector_headers(),
                timeout: self
                    .values
                    .get(traces::OTEL_TIMEOUT)
                    .max(Duration::from_millis(1)),
            },
            sampling: self.values.get(traces::OTEL_SAMPLER).unwrap_or_default(),
            ratio: self.ratio(),
            delay: self.values.get(traces::OTEL_SCHEDULE_DELAY),
            resource: self.resource(),
        })
    }

    /// Which key decides, scheme, host without brackets, port, path.
    fn collector_address(
        &mut self,
        protocol: Protocol,
    ) -> Option<(&'static str, String, String, u16, String)> {
        let named = [
            traces::OTEL_ENDPOINT,
            traces::TRACING_ENDPOINT,
            traces::TRACING_COLLECTOR,
        ]
        .into_iter()
        .find_map(|key| Some((key.path(), self.values.some_text(key)?)));
        let default = || (traces::OTEL_ENDPOINT.path(), "http://localhost".to_owned());
        let (key, text) = named.unwrap_or_else(default);
        let is_jaeger = if key == traces::TRACING_ENDPOINT.path() {
            self.values.get(traces::TRACING_TYPE) != Some(TracingType::Otlp)
        } else {
            key == traces::TRACING_COLLECTOR.path()
        };
        let is_secure =
            key == traces::OTEL_ENDPOINT.path() && !self.values.get(traces::OTEL_INSECURE);
        let scheme = if is_secure { "https" } else { "http" };
        let url = if text.contains("://") {
            Url::parse(&text)
        } else {
            Url::parse(&format!("{scheme}://{text}"))
        };
        let Ok(url) = url else {
            self.warn_of_traces(key, "is no address of a collector; no traces are made");
            return None;
        };
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            self.warn_of_traces(key, "names no host; no traces are made");
            return None;
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        let own = match protocol {
            Protocol::Grpc => GRPC_PORT,
            Protocol::Http => HTTP_PORT,
        };
        let mut port = explicit_port(&text, &url).unwrap_or(own);
        if is_jaeger && port != own {
            self.warn_of_traces(key, &format!("is Jaeger's own protocol, which is not spoken; traces go to {host} port {own} by OTLP"));
            port = own;
        }
        let path = url.path().trim_end_matches('/');
        let is_whole = self.values.entry(key).is_some_and(|entry| {
            matches!(&entry.origin, Origin::Variable(name) if name == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        });
        let path = match (is_whole, is_jaeger) {
            (true, _) => url.path().to_owned(),
            (false, true) => HTTP_PATH.to_owned(),
            (false, false) => format!("{path}{HTTP_PATH}"),
        };
        Some((key, url.scheme().to_owned(), host, port, path))
    }

    fn collector_headers(&mut self) -> Vec<(HeaderName, HeaderValue)> {
        let text = self.values.text(traces::OTEL_HEADERS);
        let mut headers = Vec::new();
        for (name, value) in pairs(&text) {
            let name = HeaderName::from_bytes(name.as_bytes());
            match (name, HeaderValue::from_str(&value)) {
                (Ok(name), Ok(mut value)) => {
                    value.set_sensitive(true);
                    headers.push((name, value));
                }
                _ => self.warn_of_traces(traces::OTEL_HEADERS, "has something that is no header"),
            }
        }
        headers
    }

    fn ratio(&mut self) -> f64 {
        let text = self.values.get(traces::OTEL_SAMPLER_ARG);
        match text.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
            _ => {
                let text = format!("is {text:?}; it has to be a number from 0 to 1, and 1 is used");
                self.warn_of_traces(traces::OTEL_SAMPLER_ARG, &text);
                1.0
            }
        }
    }

    /// A name that was set by itself counts before one among the attributes.
    fn resource(&self) -> Vec<(String, String)> {
        let text = self.values.get(traces::OTEL_RESOURCE_ATTRIBUTES);
        let mut all: Vec<(String, String)> = pairs(&text).collect();
        let is_named = all.iter().any(|(name, _)| name == "service.name");
        if self.values.is_set(traces::OTEL_SERVICE_NAME) || !is_named {
            all.retain(|(name, _)| name != "service.name");
            let name = self.values.get(traces::OTEL_SERVICE_NAME);
            all.insert(0, ("service.name".to_owned(), name));
        }
        all
    }

    fn warn_of_traces(&mut self, key: impl AsRef<str>, text: &str) {
        let place = self.values.place(key);
        self.notes.warn(format!("{place}: {text}"));
    }
}

/// A URL forgets a port that is its scheme's own.
fn explicit_port(text: &str, url: &Url) -> Option<u16> {
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let default = url.port_or_known_default()?;
    url.port().or_else(|| {
        authority
            .ends_with(&format!(":{default}"))
            .then_some(default)
    })
}

/// `name=value,name=value` as W3C Baggage writes it; what is no pair is left out.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split(',').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        let name = name.trim();
        (!name.is_empty()).then(|| (name.to_owned(), value.into_owned()))
    })
}
