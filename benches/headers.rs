//! What header work costs per request: the match of one name, and the cleaning of a head as browsers and sync clients send it.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use davgate::headers::{Class, Reserved, classify};
use http::{HeaderMap, HeaderName, HeaderValue, Request};

const SYNC_CLIENT: [(&str, &str); 10] = [
    ("host", "files.example.org"),
    ("user-agent", "Mozilla/5.0 (Linux) mirall/5.3.1"),
    ("accept", "*/*"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-language", "en-GB,*"),
    ("connection", "keep-alive"),
    ("authorization", "Bearer token"),
    ("x-request-id", "9be6a8dc-5f4c-4b0f-9a3c-8f6d3f3f4c6b"),
    (
        "original-request-id",
        "9be6a8dc-5f4c-4b0f-9a3c-8f6d3f3f4c6b",
    ),
    ("cookie", "a=b"),
];

fn head() -> HeaderMap {
    SYNC_CLIENT
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect()
}

fn request(headers: HeaderMap) -> Request<()> {
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    request
}

fn benches(criterion: &mut Criterion) {
    let headers = head();
    criterion.bench_function("classify ten names", |bencher| {
        bencher.iter(|| {
            headers
                .keys()
                .filter(|name| classify(black_box(name.as_str().as_bytes())) != Class::Free)
                .count()
        });
    });
    let reserved = Reserved::default();
    criterion.bench_function("clean a sync client's head", |bencher| {
        bencher.iter_batched(
            || request(headers.clone()),
            |request| reserved.clean(request),
            criterion::BatchSize::SmallInput,
        );
    });
}

criterion_group!(all, benches);
criterion_main!(all);
