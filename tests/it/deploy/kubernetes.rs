//! The Kubernetes manifests.

use std::collections::BTreeSet;

use serde_yaml::Value;

use super::{Site, Variables, assert_known, documents, variables};

/// The one document of a kind.
fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    let mut found = documents.iter().filter(|one| one["kind"] == kind);
    let one = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "two of {kind}");
    one
}

/// What the container gets: the settings of the config map, and its own; what comes from a secret has some text.
pub(super) fn environment(documents: &[Value]) -> Variables {
    let mut vars = variables(&of_kind(documents, "ConfigMap")["data"]);
    let container = &of_kind(documents, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    for one in container["env"].as_sequence().into_iter().flatten() {
        let name = one["name"].as_str().unwrap().to_owned();
        let value = one["value"].as_str().unwrap_or("from-a-secret").to_owned();
        assert!(vars.insert(name.clone(), value).is_none(), "{name} twice");
    }
    vars
}

/// Whether selectors find the pods, and probes and services ports that are there.
#[track_caller]
pub(super) fn fits_together(documents: &[Value]) {
    for document in documents {
        for key in ["apiVersion", "kind"] {
            assert!(document[key].is_string(), "{document:?}");
        }
        assert!(document["metadata"]["name"].is_string(), "{document:?}");
    }
    let deployment = of_kind(documents, "Deployment");
    let template = &deployment["spec"]["template"];
    let labels = variables(&template["metadata"]["labels"]);
    let has_all = |selector: &Value| {
        let wanted = variables(selector);
        assert!(!wanted.is_empty());
        wanted
            .iter()
            .all(|(name, value)| labels.get(name) == Some(value))
    };
    assert!(has_all(&deployment["spec"]["selector"]["matchLabels"]));
    assert!(has_all(&of_kind(documents, "Service")["spec"]["selector"]));
    for kind in ["PodDisruptionBudget", "NetworkPolicy"] {
        let spec = &of_kind(documents, kind)["spec"];
        let selector = [&spec["selector"], &spec["podSelector"]];
        let selector = selector.into_iter().find(|one| one.is_mapping()).unwrap();
        assert!(has_all(&selector["matchLabels"]), "{kind}");
    }
    let container = &template["spec"]["containers"][0];
    let ports: BTreeSet<&str> = container["ports"]
        .as_sequence()
        .unwrap()
        .iter()
        .map(|port| port["name"].as_str().unwrap())
        .collect();
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let port = container[probe]["httpGet"]["port"].as_str().unwrap();
        assert!(ports.contains(port), "{probe}: {port}");
    }
    for port in of_kind(documents, "Service")["spec"]["ports"]
        .as_sequence()
        .unwrap()
    {
        assert!(
            ports.contains(port["targetPort"].as_str().unwrap()),
            "{port:?}"
        );
    }
    let scaled = &of_kind(documents, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"];
    assert_eq!(scaled, &deployment["metadata"]["name"]);
    // Running transfers may end: 30 minutes, and a little.
    let grace = template["spec"]["terminationGracePeriodSeconds"]
        .as_u64()
        .unwrap();
    assert!(grace > 1800, "{grace}");
}

#[test]
fn the_manifests_fit_together_and_their_settings_are_taken() {
    let documents = documents("deploy/kubernetes/davgate.yaml");
    fits_together(&documents);
    let vars = environment(&documents);
    assert_known("deploy/kubernetes", vars.keys());
    let said = Site::new(&vars).is_fine("deploy/kubernetes");
    assert!(said.contains("https://cloud.example.org"), "{said}");
}
