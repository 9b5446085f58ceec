//! Ten thousand tokens that nobody has seen.

use std::time::Instant;

use super::load::with_status;
use super::report::{exactly, told};
use super::site::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f07_ten_thousand_new_tokens() {
    for (what, variables) in [
        ("JWT only", &[("PROXY_OIDC_SKIP_USER_INFO", "true")][..]),
        (
            "with userinfo",
            &[("PROXY_SESSION_SETUP_TIMEOUT", "30s")][..],
        ),
    ] {
        let site = Site::new(variables).await;
        site.known(1).await;
        let (before, _) = site.gateway.memory();
        let tokens = site.tokens(10_000);
        let start = Instant::now();
        let mut samples = Vec::new();
        // As many at once as there may be in set-up.
        for part in tokens.chunks(1_000) {
            samples.extend(site.burst(part).await);
        }
        let took = start.elapsed();
        exactly(
            "F7",
            &format!("{what}: 2xx of 10,000 new tokens"),
            with_status(&samples, 200),
            10_000,
        );
        let rate = 10_000.0 / took.as_secs_f64();
        told(
            "F7",
            &format!("{what}: new tokens a second"),
            &format!("{rate:.0}"),
        );
        let (now, _) = site.gateway.memory();
        let each = now.saturating_sub(before) / 10_000;
        told(
            "F7",
            &format!("{what}: memory a session"),
            &format!("{each} bytes"),
        );
        // They are all known now.
        let start = Instant::now();
        for part in tokens.chunks(1_000) {
            let again = site.burst(part).await;
            assert_eq!(with_status(&again, 200), again.len());
        }
        let rate = 10_000.0 / start.elapsed().as_secs_f64();
        told(
            "F7",
            &format!("{what}: the same tokens again, a second"),
            &format!("{rate:.0}"),
        );
    }
}
