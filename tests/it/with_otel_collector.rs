//! Traces to the OpenTelemetry Collector itself, by gRPC and by HTTP; it prints what it understood.

use std::fs;
use std::net::SocketAddr;
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
        let (grpc, http) = (free_address(), free_address());
        let mut command = Command::new(installed("otelcol"));
        for line in [
            format!("receivers::otlp::protocols::grpc::endpoint: \"{grpc}\""),
            format!("receivers::otlp::protocols::http::endpoint: \"{http}\""),
            "exporters::debug::verbosity: detailed".to_owned(),
            "service::pipelines::traces: {receivers: [otlp], exporters: [debug]}".to_owned(),
            "service::telemetry::metrics::level: none".to_owned(),
        ] {
            command.arg(format!("--config=yaml:{line}"));
        }
        let server = Server::start(command, folder("otelcol"));
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
