//! Traces to the OpenTelemetry Collector itself, by gRPC and by HTTP; it prints what it understood.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use crate::support::child::{Server, folder};
use crate::support::installed::installed;
use crate::support::world::World;
use crate::support::{free_address, is_taken, until};

/// The collector (tests/collectors/otelcol).
struct OtelCollector {
    grpc: SocketAddr,
    http: SocketAddr,
    server: Server,
}

impl OtelCollector {
    async fn start() -> Self {
        Self::with("", folder("otelcol")).await
    }

    /// With TLS, by a certificate that is its own authority: `ca.pem` of its folder.
    async fn with_tls() -> Self {
        let folder = folder("otelcol");
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        fs::write(folder.join("ca.pem"), made.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let files = format!(
            "{{cert_file: {:?}, key_file: {:?}}}",
            path("ca.pem"),
            path("key.pem")
        );
        Self::with(&files, folder).await
    }

    async fn with(tls: &str, folder: PathBuf) -> Self {
        let (grpc, http) = (free_address(), free_address());
        let mut command = Command::new(installed("otelcol"));
        for protocol in ["grpc", "http"].into_iter().filter(|_| !tls.is_empty()) {
            let line = format!("receivers::otlp::protocols::{protocol}::tls: {tls}");
            command.arg(format!("--config=yaml:{line}"));
        }
        for line in [
            format!("receivers::otlp::protocols::grpc::endpoint: \"{grpc}\""),
            format!("receivers::otlp::protocols::http::endpoint: \"{http}\""),
            "exporters::debug::verbosity: detailed".to_owned(),
            "service::pipelines::traces: {receivers: [otlp], exporters: [debug]}".to_owned(),
            "service::telemetry::metrics::level: none".to_owned(),
        ] {
            command.arg(format!("--config=yaml:{line}"));
        }
        let server = Server::start(command, folder);
        until("the collector listens", || is_taken(grpc) && is_taken(http)).await;
        Self { grpc, http, server }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.server.folder().join("log")).unwrap()
    }

    /// What it printed of a span of this name: the lines from its trace's id to the next span.
    async fn span(&self, name: &str) -> String {
        let line = format!(": {name}\n");
        until(name, || self.log().contains(&line)).await;
        let log = self.log();
        let span = log.split("\nSpan #").find(|span| span.contains(&line));
        span.unwrap().to_owned()
    }
}

async fn traced(protocol: &str, addr: SocketAddr) -> World {
    World::set(&[
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{addr}")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ])
    .await
}

#[tokio::test]
async fn the_collector_understands_what_it_is_told_by_grpc_and_by_http() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = OtelCollector::start().await;
        let addr = match protocol {
            "grpc" => collector.grpc,
            _ => collector.http,
        };
        let world = traced(protocol, addr).await;
        let token = world.issuer.token("mara").sign();
        let context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let request = world.get("/files/a").bearer(&token);
        request.header("traceparent", context).send().await.is(200);
        let span = collector.span("GET /files/").await;
        for expected in [
            "Trace ID       : 0af7651916cd43dd8448eb211c80319c",
            "Parent ID      : b7ad6b7169203331",
            "Kind           : Server",
            "-> http.request.method: Str(GET)",
            "-> http.route: Str(/files/)",
            "-> http.response.status_code: Int(200)",
        ] {
            assert!(span.contains(expected), "{protocol}: {expected}: {span}");
        }
        assert!(
            collector
                .span("GET")
                .await
                .contains("Kind           : Client")
        );
        assert!(
            collector
                .span("session set-up")
                .await
                .contains("Kind           : Internal")
        );
        let (_, metrics) = world.gateway.debug("/metrics").await;
        assert!(
            !metrics.contains("spans_total{result=\"failed\"} 1"),
            "{metrics}"
        );
        assert!(collector.log().contains("service.name: Str(proxy)"));
        world.gateway.stop().await;
    }
}

#[tokio::test]
async fn the_collector_is_believed_by_the_authority_that_was_named_and_by_no_other() {
    let collector = OtelCollector::with_tls().await;
    let ca = collector.server.folder().join("ca.pem");
    for (protocol, addr) in [("grpc", collector.grpc), ("http/protobuf", collector.http)] {
        let world = |ca: &str| {
            let endpoint = format!("https://{addr}");
            let ca = ca.to_owned();
            async move {
                World::set(&[
                    ("OTEL_TRACES_EXPORTER", "otlp"),
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                    ("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca),
                    ("OTEL_BSP_SCHEDULE_DELAY", "10"),
                ])
                .await
            }
        };
        let stranger = world("").await;
        stranger.get("/files/a").send().await.is(401);
        until("the strange certificate is told of", || {
            let lines = stranger.gateway.log_lines("traces_unavailable");
            lines
                .iter()
                .any(|line| line["error"].as_str().unwrap().contains("UnknownIssuer"))
        })
        .await;
        stranger.gateway.stop().await;
        let world = world(ca.to_str().unwrap()).await;
        let context = if protocol == "grpc" { "11" } else { "22" }.repeat(16);
        let request = world.get("/files/a");
        let parent = format!("00-{context}-b7ad6b7169203331-01");
        request.header("traceparent", &parent).send().await.is(401);
        until("the span comes", || collector.log().contains(&context)).await;
        world.gateway.stop().await;
    }
}
