//! What is handed out beside the image: the Debian package, the bill of materials, the audit data of a binary, the book.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::files::Folder;

/// A script of deploy/scripts, with its folder for what it builds.
fn script(name: &str, args: &[&str], target: &Folder) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("deploy/scripts").join(name))
        .args(args)
        .current_dir(root)
        .env("CARGO_TARGET_DIR", &target.0)
        .env("BINARY", env!("CARGO_BIN_EXE_davgate"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    output
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; run `make tools`"));
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_debian_package_has_units_pages_and_completions_and_its_davgate_starts() {
    let target = Folder::new("deb");
    script("deb", &[], &target);
    let package = fs::read_dir(target.0.join("deb"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .expect("a package");
    let package = package.to_str().unwrap();
    let version = run("dpkg-deb", &["--field", package, "Version"]);
    assert!(version.starts_with(env!("CARGO_PKG_VERSION")), "{version}");
    let root = target.0.join("root");
    run("dpkg-deb", &["--extract", package, root.to_str().unwrap()]);
    for file in [
        "usr/bin/davgate",
        "usr/lib/systemd/system/davgate.service",
        "usr/lib/systemd/system/davgate.socket",
        "usr/share/doc/davgate/examples/davgate.env",
        "usr/share/doc/davgate/examples/proxy.yaml",
        "usr/share/doc/davgate/sbom.cdx.json.gz",
        "usr/share/doc/davgate/licences.txt.gz",
        "usr/share/man/man1/davgate.1.gz",
        "usr/share/man/man1/davgate-config-check.1.gz",
        "usr/share/bash-completion/completions/davgate",
        "usr/share/zsh/vendor-completions/_davgate",
        "usr/share/fish/vendor_completions.d/davgate.fish",
        "usr/share/davgate/webdav/apache.conf",
        "usr/share/davgate/ldap/opencloud.ldif",
        "etc/fail2ban/filter.d/davgate.conf",
        "etc/davgate",
    ] {
        assert!(root.join(file).exists(), "{file} is not in the package");
    }
    let unit = fs::read_to_string(root.join("usr/lib/systemd/system/davgate.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/davgate server"), "{unit}");
    let program = root.join("usr/bin/davgate");
    assert!(run(program.to_str().unwrap(), &["version"]).starts_with("davgate "));
    let page = run(
        "zcat",
        &[root
            .join("usr/share/man/man1/davgate.1.gz")
            .to_str()
            .unwrap()],
    );
    assert!(page.contains(".TH davgate"), "{page}");
}

#[test]
fn the_bill_of_materials_has_every_crate_that_is_linked() {
    let target = Folder::new("sbom");
    let file = target.0.join("sbom.json");
    script("sbom", &["cyclonedx", file.to_str().unwrap()], &target);
    let document: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(document["bomFormat"], "CycloneDX");
    assert_eq!(document["metadata"]["component"]["name"], "davgate");
    let components = document["components"].as_array().unwrap();
    let scope = |name: &str| {
        let found = components.iter().find(|one| one["name"] == name);
        found.map(|one| one["scope"].as_str().unwrap().to_owned())
    };
    for linked in [
        "rustls",
        "hyper",
        "ldap3",
        "aws-lc-sys",
        "mimalloc",
        "listenfd",
    ] {
        assert_eq!(scope(linked).as_deref(), Some("required"), "{linked}");
    }
    assert_eq!(
        scope("cc").as_deref(),
        Some("excluded"),
        "builds, and is not linked"
    );
    for stranger in ["criterion", "proptest", "windows-sys"] {
        assert_eq!(scope(stranger), None, "{stranger}");
    }
    // Each has a licence and a sum, and each that is needed is there.
    let known: BTreeSet<&str> = components
        .iter()
        .map(|one| one["bom-ref"].as_str().unwrap())
        .collect();
    assert_eq!(known.len(), components.len(), "none twice");
    for one in components {
        assert!(one["licenses"][0]["expression"].is_string(), "{one}");
        assert_eq!(one["hashes"][0]["alg"], "SHA-256", "{one}");
    }
    for one in document["dependencies"].as_array().unwrap() {
        for needed in one["dependsOn"].as_array().unwrap() {
            assert!(known.contains(needed.as_str().unwrap()), "{needed}");
        }
    }
    // The same again.
    let again = target.0.join("again.json");
    script("sbom", &["cyclonedx", again.to_str().unwrap()], &target);
    assert!(
        fs::read(&file).unwrap() == fs::read(&again).unwrap(),
        "another run differs"
    );
}

#[test]
fn a_binary_bears_the_list_of_what_it_is_made_of() {
    let target = Folder::new("audit");
    let path = |name: &str| target.0.join(name).to_str().unwrap().to_owned();
    script("sbom", &["audit", &path("list")], &target);
    let section = format!(".dep-v0={}", path("list"));
    run(
        "objcopy",
        &[
            "--add-section",
            &section,
            env!("CARGO_BIN_EXE_davgate"),
            &path("davgate"),
        ],
    );
    assert!(run(&path("davgate"), &["version"]).starts_with("davgate "));
    let section = format!(".dep-v0={}", path("back"));
    run(
        "objcopy",
        &["--dump-section", &section, &path("davgate"), &path("copy")],
    );
    let mut text = String::new();
    let bytes = fs::read(path("back")).unwrap();
    flate2::read::ZlibDecoder::new(bytes.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let packages = list["packages"].as_array().unwrap();
    let roots: Vec<&Value> = packages.iter().filter(|one| one["root"] == true).collect();
    assert_eq!(roots.len(), 1);
    assert_eq!(roots[0]["name"], "davgate");
    for one in packages {
        for needed in one["dependencies"].as_array().into_iter().flatten() {
            assert!(
                (needed.as_u64().unwrap() as usize) < packages.len(),
                "{one}"
            );
        }
    }
}

#[test]
fn the_pages_build_as_a_book() {
    let target = Folder::new("book");
    script("docs", &[], &target);
    let page = |name: &str| fs::read_to_string(target.0.join("docs").join(name)).unwrap();
    assert!(page("index.html").contains("pipeline.svg"));
    // Taken from README.md.
    assert!(page("quick-start.html").contains("davgate config check --online"));
    assert!(target.0.join("docs/pipeline.svg").exists());
}
