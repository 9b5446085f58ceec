//! The alert rules as Prometheus reads them.

use std::process::Command;

#[test]
fn prometheus_takes_the_alert_rules_and_they_fire_as_their_tests_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus");
    for (verb, file) in [("check", "alerts.yaml"), ("test", "alerts_test.yaml")] {
        let output = Command::new("promtool")
            .args([verb, "rules", file])
            .current_dir(folder)
            .output()
            .unwrap_or_else(|error| panic!("promtool: {error}; run `make tools`"));
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "promtool {verb} rules: {said}");
    }
}
