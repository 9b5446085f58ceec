//! What the commands print and answer.

use clap::CommandFactory;

use super::*;
use crate::config::Vars;

const VARS: [(&str, &str); 4] = [
    ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
    ("OC_JWT_SECRET", "a-secret-of-32-bytes-that-is-not-told"),
    ("OC_CONFIG_DIR", "/nonexistent"),
    ("OC_BASE_DATA_PATH", "/nonexistent"),
];

fn run(args: &[&str], vars: &dyn Vars) -> (u8, String, String) {
    let cli = Cli::try_parse_from([&["davgate", "config"], args].concat()).unwrap();
    let options = cli.load_options();
    let Some(Command::Config { command }) = cli.command else {
        panic!("{cli:?}")
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let checks = Checks {
        offline: &|config| {
            let port = config.http.addr.port();
            (port == 1)
                .then(|| "found by a part".to_owned())
                .into_iter()
                .collect()
        },
        online: &|_, tell| {
            tell(Asked {
                subject: "backend web".to_owned(),
                verdict: Asked::FAULT,
                text: "is away".to_owned(),
            });
            Ok(())
        },
    };
    let mut output = Output {
        out: &mut out,
        err: &mut err,
        colour: false,
    };
    let code = config_command(&command, &options, vars, &checks, &mut output).unwrap();
    (
        code,
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
    assert!(Cli::try_parse_from(["davgate"]).unwrap().command.is_none());
}

#[test]
fn check_says_fine_or_lists_the_mistakes_with_exit_code_2() {
    assert_eq!(run(&["check"], &VARS).0, 0);
    let (code, _, err) = run(
        &["check"],
        &[("OC_CONFIG_DIR", "/nonexistent"), ("PROXY_TLS", "x")],
    );
    assert_eq!(code, EXIT_CONFIG);
    assert!(err.contains("4 mistakes"), "{err}");
    for names in [
        "PROXY_TLS",
        "OC_MACHINE_AUTH_API_KEY, PROXY_MACHINE_AUTH_API_KEY",
        "OC_SERVICE_ACCOUNT_ID, PROXY_SERVICE_ACCOUNT_ID",
        "OC_SERVICE_ACCOUNT_SECRET, PROXY_SERVICE_ACCOUNT_SECRET",
    ] {
        assert!(err.contains(names), "{err}");
    }
}

#[test]
fn a_check_shows_what_was_understood_and_the_clients_of_the_issuer() {
    let (code, text, _) = run(&["check"], &VARS);
    assert_eq!(code, 0);
    for wanted in [
        "accounts: embedded",
        "web: client id web; redirect URIs https://localhost:9200/ https://localhost:9200/oidc-callback.html",
        "desktop: client id OpenCloudDesktop; redirect URIs http://127.0.0.1 http://localhost (any port); scopes openid profile email offline_access",
        "ios: client id OpenCloudIOS; redirect URIs oc://ios.opencloud.eu",
        "the configuration is fine",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

#[test]
fn what_a_part_would_refuse_at_the_start_is_a_mistake_of_the_check() {
    let mut vars = VARS.to_vec();
    vars.push(("PROXY_HTTP_ADDR", "127.0.0.1:1"));
    let (code, _, err) = run(&["check"], &vars.as_slice());
    assert_eq!(code, EXIT_CONFIG);
    assert!(err.contains("found by a part"), "{err}");
}

#[test]
fn an_online_check_tells_each_finding_and_fails_by_a_fault() {
    let (code, text, _) = run(&["check", "--online"], &VARS);
    assert_eq!(code, EXIT_FAILURE);
    assert!(text.contains("FAULT\tbackend web: is away"), "{text}");
}

#[test]
fn a_check_as_json_is_one_object_in_every_case() {
    let value = |args: &[&str], vars: &dyn Vars| -> (u8, serde_json::Value) {
        let (code, text, _) = run(args, vars);
        (code, serde_json::from_str(&text).unwrap())
    };
    let (code, report) = value(&["check", "--json"], &VARS);
    assert_eq!((code, &report["ok"]), (0, &true.into()));
    let (code, report) = value(&["check", "--json", "--online"], &VARS);
    assert_eq!((code, &report["online"][0]["text"]), (1, &"is away".into()));
    let wrong = [("OC_CONFIG_DIR", "/nonexistent"), ("PROXY_TLS", "x")];
    let (code, report) = value(&["check", "--json"], &wrong);
    assert_eq!(code, EXIT_CONFIG);
    assert_eq!(report["mistakes"][0]["variables"][0], "PROXY_TLS");
}

#[test]
fn print_can_leave_the_defaults_out() {
    let (_, text, _) = run(&["print", "--changed"], &VARS);
    assert!(text.contains("account_backend = "), "{text}");
    assert!(!text.contains("http.addr"), "{text}");
}

#[test]
fn the_schemas_need_no_configuration() {
    for args in [&["schema"][..], &["schema", "--csp"]] {
        let (code, text, _) = run(args, &[("PROXY_TLS", "x")]);
        assert_eq!(code, 0);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
}

#[test]
fn print_masks_secrets_and_tells_origins() {
    let (_, text, _) = run(&["print"], &VARS);
    assert!(
        text.contains("jwt_secret = \"***\"  # OC_JWT_SECRET"),
        "{text}"
    );
    assert!(
        text.contains("http.addr = \"0.0.0.0:9200\"  # default"),
        "{text}"
    );
    assert!(
        text.contains("role_store = \"account\"  # default"),
        "{text}"
    );
    assert!(
        text.starts_with(
            "# opencloud, defaults of opencloud-8\n# reads /nonexistent/proxy.yaml, which is not there\n"
        ),
        "{text}"
    );
    let (_, json, _) = run(&["print", "--json"], &VARS);
    assert!(!(text + &json).contains("not-told"));
}

#[test]
fn the_reference_needs_no_configuration() {
    let (code, text, _) = run(&["env"], &[("PROXY_TLS", "x")]);
    assert_eq!(code, 0);
    assert!(text.contains("OC_JWT_SECRET < PROXY_JWT_SECRET"), "{text}");
    assert!(
        run(&["env", "--ocis"], &VARS)
            .1
            .contains("OCIS_JWT_SECRET < PROXY_JWT_SECRET")
    );
}
