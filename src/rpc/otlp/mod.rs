//! Traces to a collector by OTLP: in batches, from a task of control that nobody waits for. A batch that the collector does not
//! take is dropped and counted; of an outage one line tells.

mod messages;
mod over_http;

use std::time::Duration;

use http::uri::PathAndQuery;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::messages as m;
use self::over_http::OverHttp;
use super::channels::{Call, Channels};
use super::{RpcError, TlsError};
use crate::config::deployment::GrpcTls;
use crate::config::traces::{Collector, CollectorTls, Protocol, Traces};
use crate::model::{Address, Endpoint, Reason};
use crate::services::Directory;
use crate::telemetry::traces::{Kind, Span, Value};
use crate::telemetry::{ControlMetrics, SpanFate};

/// Most spans of one batch (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`).
const BATCH: usize = 512;

/// Sends spans to a collector.
#[derive(Debug)]
pub(crate) struct Exporter {
    way: Way,
    resource: m::Resource,
    delay: Duration,
    metrics: ControlMetrics,
}

#[derive(Debug)]
enum Way {
    Grpc {
        channels: Channels,
        collector: Address,
        headers: Vec<(String, String)>,
        deadline: Duration,
    },
    Http(OverHttp),
}

impl Exporter {
    /// Opens no connection. Blocks on the file of authorities.
    ///
    /// # Errors
    /// If the authorities cannot be read.
    pub(crate) fn new(
        settings: &Traces,
        version: &str,
        directory: Directory,
        metrics: ControlMetrics,
    ) -> Result<Self, TlsError> {
        let collector = &settings.collector;
        let tls = match &collector.tls {
            None => GrpcTls::Off,
            Some(CollectorTls { ca_file }) => GrpcTls::On(ca_file.clone()),
        };
        let way = match collector.protocol {
            Protocol::Http => Way::Http(OverHttp::new(collector, &tls)?),
            Protocol::Grpc => Way::Grpc {
                channels: Channels::new(directory, &tls)?,
                collector: address(collector),
                headers: texts(collector),
                deadline: collector.timeout,
            },
        };
        let own = [
            ("service.version", version),
            ("telemetry.sdk.name", "davgate"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", version),
        ];
        let own = own.into_iter().map(|(key, value)| text(key, value));
        let set = settings
            .resource
            .iter()
            .map(|(key, value)| text(key, value));
        let mut attributes: Vec<m::KeyValue> = set.collect();
        for one in own {
            if !attributes.iter().any(|other| other.key == one.key) {
                attributes.push(one);
            }
        }
        Ok(Self {
            way,
            resource: m::Resource { attributes },
            delay: settings.delay,
            metrics,
        })
    }

    /// Asks the collector whether it takes a batch, by an empty one.
    ///
    /// # Errors
    /// It does not, or nobody answers.
    pub(crate) async fn probe(&self) -> Result<(), RpcError> {
        self.send(Vec::new()).await.map(drop)
    }

    /// Sends what comes, until there is nobody left who could tell, or `end`: then what waits is sent, and that was it.
    pub(crate) async fn run(self, mut spans: mpsc::Receiver<Span>, end: CancellationToken) {
        let mut is_told = false;
        let mut batch = Vec::new();
        loop {
            let taken = tokio::select! {
                biased;
                taken = spans.recv_many(&mut batch, BATCH) => taken,
                () = end.cancelled() => 0,
            };
            if taken == 0 {
                return;
            }
            let until = Instant::now() + self.delay;
            while batch.len() < BATCH && !end.is_cancelled() {
                let room = BATCH - batch.len();
                tokio::select! {
                    taken = spans.recv_many(&mut batch, room) => if taken == 0 { break },
                    () = tokio::time::sleep_until(until) => break,
                    () = end.cancelled() => {}
                }
            }
            self.export(std::mem::take(&mut batch), &mut is_told).await;
        }
    }

    async fn export(&self, spans: Vec<Span>, is_told: &mut bool) {
        let count = spans.len() as u64;
        let reason = Reason::TracesUnavailable;
        match self.send(spans).await {
            Ok(rejected) => {
                let rejected = rejected.min(count);
                self.metrics.spans(SpanFate::Failed, rejected);
                self.metrics.spans(SpanFate::Sent, count - rejected);
                if std::mem::take(is_told) {
                    tracing::info!("traces are sent again");
                }
            }
            Err(error) => {
                self.metrics.spans(SpanFate::Failed, count);
                if !std::mem::replace(is_told, true) {
                    tracing::warn!(%reason, %error, "traces are not sent; this is said once, until the collector takes them");
                }
            }
        }
    }

    /// How many the collector did not want.
    async fn send(&self, spans: Vec<Span>) -> Result<u64, RpcError> {
        let request = self.request(spans);
        let answer = match &self.way {
            Way::Http(http) => http.send(request.encode_to_vec()).await?,
            Way::Grpc {
                channels,
                collector,
                headers,
                deadline,
            } => {
                let metadata = headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()));
                let call = Call {
                    service: collector,
                    path: PathAndQuery::from_static(
                        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                    ),
                    message: request,
                    metadata: metadata.collect(),
                    deadline: *deadline,
                };
                channels.unary(call).await?
            }
        };
        let partial: m::PartialSuccess = answer.partial_success.unwrap_or_default();
        Ok(u64::try_from(partial.rejected_spans).unwrap_or_default())
    }

    fn request(&self, spans: Vec<Span>) -> m::ExportRequest {
        let scope = m::Scope {
            name: "davgate".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        m::ExportRequest {
            resource_spans: vec![m::ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![m::ScopeSpans {
                    scope: Some(scope),
                    spans: spans.into_iter().map(message).collect(),
                }],
            }],
        }
    }
}

fn message(span: Span) -> m::Span {
    m::Span {
        trace_id: span.context.trace_id.to_vec(),
        span_id: span.context.span_id.to_vec(),
        trace_state: span.state,
        parent_span_id: span.parent.map_or_else(Vec::new, |id| id.to_vec()),
        name: span.name.into_owned(),
        kind: match span.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
        },
        start_time_unix_nano: span.started,
        end_time_unix_nano: span.ended,
        attributes: span
            .attributes
            .into_iter()
            .map(|(key, value)| m::KeyValue {
                key: key.to_owned(),
                value: Some(m::AnyValue {
                    value: Some(match value {
                        Value::Text(text) => m::Value::Text(text),
                        Value::Number(number) => m::Value::Number(number),
                    }),
                }),
            })
            .collect(),
        status: span.error.map(|message| m::Status { message, code: 2 }),
        flags: u32::from(span.context.is_sampled),
    }
}

fn text(key: &str, value: &str) -> m::KeyValue {
    m::KeyValue {
        key: key.to_owned(),
        value: Some(m::AnyValue {
            value: Some(m::Value::Text(value.to_owned())),
        }),
    }
}

fn address(collector: &Collector) -> Address {
    let protocol = crate::model::Protocol::Grpc;
    Address::Endpoint(Endpoint::tcp(protocol, &collector.host, collector.port))
}

fn texts(collector: &Collector) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = collector.headers.iter();
    headers
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}
