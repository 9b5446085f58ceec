//! The deployment's services continue the trace of the request that they are asked for.

use super::logins::Place;
use crate::support::collector::{Collector, hex};
use crate::support::deployment::User;
use crate::support::until;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

async fn traced(collector: &Collector) -> Place {
    let endpoint = format!("http://{}", collector.addr);
    let place = Place::with(|builder| {
        builder
            .var("PROXY_POLICIES_QUERY", "data.proxy.granted")
            .var("OTEL_TRACES_EXPORTER", "otlp")
            .var("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
            .var("OTEL_BSP_SCHEDULE_DELAY", "10")
    })
    .await;
    place.deployment.add(User::new("mara"));
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_to_a_service_is_a_span_of_the_trace_that_the_service_hears_of() {
    let collector = Collector::grpc().await;
    let place = traced(&collector).await;
    let token = place.issuer.token("mara").sign();
    let request = place.gateway.get("/dav/a").bearer(&token);
    let context = format!("00-{TRACE}-b7ad6b7169203331-01");
    request.header("traceparent", &context).send().await.is(200);
    let heard = place.deployment.world.lock().traceparents.clone();
    for (method, name, parent) in [
        (
            "Authenticate",
            "rpc /cs3.gateway.v1beta1.GatewayAPI/Authenticate",
            "session set-up",
        ),
        (
            "CreateHome",
            "rpc /cs3.gateway.v1beta1.GatewayAPI/CreateHome",
            "session set-up",
        ),
        ("Evaluate", "", "policies"),
    ] {
        let told = heard.iter().find(|(one, _)| one == method);
        let told = &told.unwrap_or_else(|| panic!("{method}: {heard:?}")).1;
        let of_call = |span: &opentelemetry_proto::tonic::trace::v1::Span| {
            told == &format!("00-{TRACE}-{}-01", hex(&span.span_id))
        };
        let find = || collector.so_far().into_iter().find(of_call);
        until("the call's span", || find().is_some()).await;
        let span = find().unwrap();
        assert!(
            span.name.ends_with(name) && span.name.ends_with(method),
            "{span:?}"
        );
        let is_parent =
            |one: &opentelemetry_proto::tonic::trace::v1::Span| one.span_id == span.parent_span_id;
        let find = || collector.so_far().into_iter().find(is_parent);
        until("its parent", || find().is_some()).await;
        assert_eq!(find().unwrap().name, parent);
    }
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_hears_that_a_request_is_not_sampled() {
    let collector = Collector::grpc().await;
    let place = traced(&collector).await;
    let token = place.issuer.token("mara").sign();
    let request = place.gateway.get("/dav/a").bearer(&token);
    let context = format!("00-{TRACE}-b7ad6b7169203331-00");
    request.header("traceparent", &context).send().await.is(200);
    let heard = place.deployment.world.lock().traceparents.clone();
    assert!(heard.len() >= 3, "{heard:?}");
    for (method, told) in heard {
        assert!(
            told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-00"),
            "{method}: {told}"
        );
    }
    place.gateway.stop().await;
    assert!(collector.so_far().is_empty());
}
