//! Traces: what a collector is told by OTLP, and what backends are told of the trace they are part of.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::mistakes::{davgate, folder};
use crate::support::backend::{FakeBackend, Told};
use crate::support::collector::{Collector, hex, texts};
use crate::support::until;
use crate::support::world::World;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// A world whose spans go there at once.
async fn traced(collector: &Collector, more: &[(&str, &str)]) -> World {
    let endpoint = format!("http://{}", collector.addr);
    let mut variables = vec![
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ];
    variables.extend(more);
    World::set(&variables).await
}

/// Lines about that collector; other tests write into the same log.
fn outages(world: &World, address: &str) -> Vec<Value> {
    let lines = world.gateway.log_lines("traces_unavailable").into_iter();
    lines
        .filter(|line| {
            line["error"]
                .as_str()
                .is_some_and(|error| error.contains(address))
        })
        .collect()
}

#[tokio::test]
async fn a_request_is_a_span_of_the_clients_trace_with_its_exchange_and_its_set_up_below() {
    let collector = Collector::grpc().await;
    let headers = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=here",
        ),
    ];
    let world = traced(&collector, &headers).await;
    let token = world.issuer.token("mara").sign();
    let request = world.get("/files/a?secret=1").bearer(&token);
    let request = request.header("traceparent", &traceparent("01"));
    let answer = request.header("tracestate", "vendor=1").send().await;
    answer.is(200);
    let seen = world.backend.the_request();
    let told = seen.header("traceparent").unwrap().to_owned();
    assert_eq!(seen.header("tracestate"), Some("vendor=1"));

    let by_name = |name: &str| {
        let spans = collector.so_far();
        spans.into_iter().find(|span| span.name == name)
    };
    until("the request's span", || by_name("GET /files/").is_some()).await;
    let span = by_name("GET /files/").unwrap();
    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.parent_span_id), PARENT);
    assert_eq!((span.kind, span.trace_state.as_str()), (2, "vendor=1"));
    assert!(span.start_time_unix_nano < span.end_time_unix_nano);
    let said = texts(&span.attributes);
    assert_eq!(said["http.request.method"], "GET");
    assert_eq!(said["url.path"], "/files/a");
    assert_eq!(said["http.route"], "/files/");
    assert_eq!(said["http.response.status_code"], "200");
    assert_eq!(
        said["davgate.request_id"],
        answer.header("x-request-id").unwrap()
    );

    let exchange = by_name("GET").unwrap();
    assert_eq!(exchange.parent_span_id, span.span_id);
    assert_eq!(exchange.kind, 3);
    assert_eq!(told, format!("00-{TRACE}-{}-01", hex(&exchange.span_id)));
    let said = texts(&exchange.attributes);
    assert_eq!(said["server.port"], world.backend.addr.port().to_string());
    assert_eq!(said["http.response.status_code"], "200");

    let set_up = by_name("session set-up").unwrap();
    assert_eq!(set_up.parent_span_id, span.span_id);
    for name in ["issuer userinfo", "directory search", "directory add"] {
        let call = by_name(name).unwrap_or_else(|| panic!("{name}: {:#?}", collector.so_far()));
        assert_eq!(call.parent_span_id, set_up.span_id, "{name}");
        assert_eq!(hex(&call.trace_id), TRACE);
    }
    // Nothing of a token, a query or a person is told.
    let all = format!("{:?}", collector.so_far());
    for secret in [&token, "secret", "mara"] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
    assert_eq!(collector.resource("service.name"), "proxy");
    assert_eq!(collector.resource("deployment.environment.name"), "here");
    assert_eq!(collector.header("x-tenant"), "a b");
    until("the access line, with the trace's id", || {
        let lines = world.gateway.log_lines("access-log");
        lines.iter().any(|line| line["traceid"] == TRACE)
    })
    .await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_warm_request_is_two_spans_and_one_without_a_context_begins_a_trace() {
    let collector = Collector::http().await;
    let more = [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")];
    let world = traced(&collector, &more).await;
    let token = world.issuer.token("mara").sign();
    world.request(&token).await.is(200);
    until("the first request's span", || {
        collector.so_far().iter().any(|span| span.kind == 2)
    })
    .await;
    let before = collector.so_far().len();
    world.request(&token).await.is(200);
    let spans = collector.spans(before + 2).await;
    let (exchange, request) = (&spans[before], &spans[before + 1]);
    assert!(request.parent_span_id.is_empty());
    assert_eq!(exchange.parent_span_id, request.span_id);
    assert_ne!(request.trace_id, spans[0].trace_id);
    assert_eq!(collector.header(":path"), "/v1/traces");
    assert_eq!(collector.header("content-type"), "application/x-protobuf");
    world.gateway.stop().await;
}

#[tokio::test]
async fn what_is_not_sampled_is_not_told_and_backends_hear_that() {
    let collector = Collector::grpc().await;
    let more = [
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0"),
    ];
    let world = traced(&collector, &more).await;
    let token = world.issuer.token("mara").sign();
    world.request(&token).await.is(200);
    let told = world.backend.the_request();
    assert!(told.header("traceparent").unwrap().ends_with("-00"));
    let asked = |flags| {
        let request = world.get("/files/a").bearer(&token);
        request.header("traceparent", &traceparent(flags)).send()
    };
    asked("00").await.is(200);
    let told = world.backend.the_request();
    let told = told.header("traceparent").unwrap();
    assert!(
        told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-00"),
        "{told}"
    );
    asked("01").await.is(200);
    let spans = collector.spans(2).await;
    assert_eq!(hex(&spans[1].trace_id), TRACE);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_refusal_and_a_dead_backend_say_what_went_wrong() {
    let collector = Collector::grpc().await;
    let mut world = traced(&collector, &[]).await;
    world
        .get("/files/a")
        .send()
        .await
        .refused(401, "no_credential");
    let spans = collector.spans(1).await;
    assert_eq!(texts(&spans[0].attributes)["error.type"], "no_credential");
    // The client's fault is none of the server's span.
    assert!(spans[0].status.is_none());
    let token = world.issuer.token("mara").sign();
    world.request(&token).await.is(200);
    world.backend = FakeBackend::told(Told::Headers).await;
    world.request(&token).await.is(502);
    let is_failed = |span: &&Span| span.status.as_ref().is_some_and(|status| status.code == 2);
    until("both spans of the failed request", || {
        collector.so_far().iter().filter(is_failed).count() == 2
    })
    .await;
    for span in collector.so_far().iter().filter(is_failed) {
        let said = texts(&span.attributes);
        assert_eq!(said["error.type"], "backend_unreachable", "{span:?}");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_dead_collector_costs_one_line_and_a_counter() {
    let collector = Collector::grpc().await;
    let port = collector.addr.port();
    let address = collector.addr.to_string();
    let world = traced(&collector, &[]).await;
    drop(collector);
    let token = world.issuer.token("mara").sign();
    for _ in 0..3 {
        world.request(&token).await.is(200);
        until("the outage is told", || {
            !outages(&world, &address).is_empty()
        })
        .await;
    }
    let (_, metrics) = world.gateway.debug("/metrics").await;
    assert!(
        metrics.contains("spans_total{result=\"failed\"}"),
        "{metrics}"
    );
    assert_eq!(outages(&world, &address).len(), 1);
    let collector = Collector::grpc_on(port).await;
    let comes_again = async {
        while collector.so_far().is_empty() {
            world.request(&token).await.is(200);
        }
    };
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, comes_again).await.unwrap();
    until("that it is over is told", || {
        !world.gateway.log_lines("traces are sent again").is_empty()
    })
    .await;
    assert_eq!(outages(&world, &address).len(), 1);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_collector_that_takes_a_connection_and_says_nothing_holds_nobody_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let endpoint = format!("http://{address}");
    for protocol in ["grpc", "http/protobuf"] {
        let world = World::set(&[
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0"),
        ])
        .await;
        let token = world.issuer.token("mara").sign();
        let began = Instant::now();
        for _ in 0..20 {
            world.request(&token).await.is(200);
        }
        // Were a request to wait for the export of the one before, it would be 20 times the limit.
        assert!(began.elapsed() < Duration::from_millis(20 * 300));
        until("the outage is told", || {
            !outages(&world, &address).is_empty()
        })
        .await;
        let line = &outages(&world, &address)[0];
        let said = line["error"].as_str().unwrap();
        assert!(
            said.contains("no answer within 300 ms"),
            "{protocol}: {said}"
        );
        world.gateway.stop().await;
    }
}

#[tokio::test]
async fn the_last_spans_go_at_the_stop() {
    let collector = Collector::grpc().await;
    let world = traced(&collector, &[("OTEL_BSP_SCHEDULE_DELAY", "600000")]).await;
    world.get("/files/a").send().await.is(401);
    world.gateway.stop().await;
    assert_eq!(collector.so_far().len(), 1);
}

#[tokio::test]
async fn without_traces_a_context_passes_as_it_came() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    let request = world.get("/files/a").bearer(&token);
    request
        .header("traceparent", &traceparent("01"))
        .send()
        .await
        .is(200);
    let seen = world.backend.the_request();
    assert_eq!(seen.header("traceparent"), Some(traceparent("01").as_str()));
    world.request(&token).await.is(200);
    assert_eq!(world.backend.the_request().header("traceparent"), None);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_check_online_says_whether_the_collector_takes_traces() {
    let collector = Collector::grpc().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = silent.local_addr().unwrap();
    for (address, said) in [
        (collector.addr, "takes traces"),
        (silent, "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ] {
        let checked = tokio::task::spawn_blocking(move || {
            let folder = folder();
            let endpoint = format!("http://{address}");
            let vars = [
                ("PROXY_OIDC_ISSUER", "https://idp.invalid"),
                ("OTEL_TRACES_EXPORTER", "otlp"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
            ];
            let checked = davgate(&folder, &["config", "check", "--online"], &vars);
            std::fs::remove_dir_all(&folder).unwrap();
            checked
        });
        let checked = checked.await.unwrap();
        let line = checked
            .lines()
            .find(|line| line.contains("collector of traces"));
        assert!(
            line.is_some_and(|line| line.contains(said)),
            "{said}: {checked}"
        );
    }
    assert!(collector.so_far().is_empty());
}
