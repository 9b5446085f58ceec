//! The memory functions that static binaries are linked with copy and compare as the system's do.

use std::path::Path;
use std::process::Command;

use crate::support::files::Folder;

#[test]
#[cfg(target_arch = "x86_64")]
fn copies_and_comparisons_of_static_binaries_are_right_at_every_size_and_overlap() {
    let folder = Folder::new("memory");
    let [object, program] = ["memory.o", "check"].map(|name| folder.0.join(name));
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/musl");
    let compiler = || {
        let mut command = Command::new("cc");
        command.args(["-Wall", "-Wextra", "-Werror", "-O2"]);
        command
    };
    run(compiler()
        .args(["-ffreestanding", "-fno-builtin"])
        .arg("-fno-tree-loop-distribute-patterns")
        .args(["memcpy", "memmove", "memcmp"].map(|name| format!("-D{name}=checked_{name}")))
        .arg("-c")
        .arg(sources.join("memory.c"))
        .arg("-o")
        .arg(&object));
    run(compiler()
        .arg(sources.join("check.c"))
        .arg(&object)
        .arg("-o")
        .arg(&program));
    run(&mut Command::new(&program));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
}
