//! Files of a Content-Security-Policy of any bytes: what is accepted is one header of known directives.

use super::load;
use crate::fuzz::fuzz;

const WORDS: [&str; 16] = [
    "directives:",
    "\n  img-src:",
    "\n  - ",
    "'self'",
    "[",
    "]",
    "${",
    "|",
    "}",
    "https://",
    "*",
    ";",
    "&a ",
    "*a",
    "\t",
    "!!binary ",
];

#[test]
fn fuzz_csp() {
    let folder = std::env::temp_dir().join(format!("davgate-fuzz-csp-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("csp.yaml");
    let name = file.to_str().unwrap().to_owned();
    let vars = [
        ("PROXY_COMPAT", "ocis-8"),
        ("PROXY_CSP_CONFIG_FILE_LOCATION", name.as_str()),
    ];
    fuzz("csp", &[], &WORDS, |bytes| {
        std::fs::write(&file, bytes).unwrap();
        let loaded = load("", &vars).map_err(|errors| {
            let text = errors.to_string();
            let words = text.split(|c: char| !c.is_ascii_alphabetic());
            let known = words.filter(|word| word.len() > 4 && !text.contains(&format!("{word:?}")));
            known.take(20).collect::<Vec<_>>().join(" ")
        })?;
        for (name, sources) in &loaded.config.csp {
            let is_name = name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            assert!(is_name && !name.is_empty(), "{name}");
            for source in sources {
                let is_source = |byte: u8| byte.is_ascii_graphic() && !b";,".contains(&byte);
                assert!(source.bytes().all(is_source), "{name}: {source:?}");
            }
        }
        Ok::<_, String>(loaded.config.csp.len().min(30))
    });
    let _ = std::fs::remove_dir_all(folder);
}
