//! The unit and its environment file.

use super::{Site, assert_known, lines_of_variables, read};

/// What systemd.unit(5), systemd.service(5), systemd.socket(5), systemd.exec(5), systemd.kill(5) and systemd.resource-control(5)
/// call the lines that are used here.
const LINES: &[(&str, &[&str])] = &[
    (
        "Unit",
        &["Description", "Documentation", "Wants", "After", "Requires"],
    ),
    (
        "Service",
        &[
            "Type",
            "NotifyAccess",
            "ExecStartPre",
            "ExecStart",
            "Restart",
            "RestartPreventExitStatus",
            "RestartSec",
            "TimeoutStartSec",
            "TimeoutStopSec",
            "KillMode",
            "Environment",
            "EnvironmentFile",
            "DynamicUser",
            "StateDirectory",
            "StateDirectoryMode",
            "LimitNOFILE",
            "AmbientCapabilities",
            "CapabilityBoundingSet",
            "NoNewPrivileges",
            "ProtectSystem",
            "ProtectHome",
            "PrivateTmp",
            "PrivateDevices",
            "ProtectClock",
            "ProtectControlGroups",
            "ProtectHostname",
            "ProtectKernelLogs",
            "ProtectKernelModules",
            "ProtectKernelTunables",
            "ProtectProc",
            "ProcSubset",
            "RestrictAddressFamilies",
            "RestrictNamespaces",
            "RestrictRealtime",
            "RestrictSUIDSGID",
            "LockPersonality",
            "MemoryDenyWriteExecute",
            "RemoveIPC",
            "SystemCallArchitectures",
            "SystemCallFilter",
            "SystemCallErrorNumber",
            "UMask",
            "LoadCredential",
            "DevicePolicy",
        ],
    ),
    (
        "Socket",
        &["ListenStream", "NoDelay", "Backlog", "FileDescriptorName"],
    ),
    ("Install", &["WantedBy"]),
];

/// Section, name and value of each line.
fn lines(path: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut lines = Vec::new();
    for line in read(path).lines() {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.to_owned();
            continue;
        }
        let (name, value) = line
            .split_once('=')
            .unwrap_or_else(|| panic!("{path}: {line}"));
        let known = LINES.iter().find(|(title, _)| *title == section);
        let (_, known) = known.unwrap_or_else(|| panic!("{path}: section [{section}]"));
        assert!(
            known.contains(&name),
            "{path}: no line {name} in [{section}]"
        );
        lines.push((section.clone(), name.to_owned(), value.to_owned()));
    }
    lines
}

#[test]
fn the_settings_of_the_unit_and_of_its_environment_file_are_taken() {
    let mut vars = lines_of_variables(&read("deploy/systemd/davgate.env.example"));
    for (_, name, value) in lines("deploy/systemd/davgate.service") {
        if name == "Environment" {
            vars.extend(lines_of_variables(&value));
        }
    }
    assert_known("deploy/systemd", vars.keys());
    // What the file says to fill in.
    for value in vars.values_mut().filter(|value| value.is_empty()) {
        *value = "filled-in".to_owned();
    }
    let said = Site::new(&vars).is_fine("deploy/systemd");
    assert!(said.contains("https://cloud.example.org"), "{said}");
}

#[test]
fn what_the_unit_starts_are_commands_of_davgate() {
    let mut count = 0;
    for (_, name, value) in lines("deploy/systemd/davgate.service") {
        let Some(args) = value.strip_prefix("/usr/local/bin/davgate ") else {
            assert!(!name.starts_with("Exec"), "{name}={value}");
            continue;
        };
        count += 1;
        let args: Vec<&str> = args.split(' ').chain(["--help"]).collect();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_davgate"))
            .args(&args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{name}={value}");
    }
    assert_eq!(count, 2);
}

#[test]
fn a_stop_leaves_transfers_the_time_that_davgate_gives_them() {
    lines("deploy/systemd/davgate.socket");
    let found = lines("deploy/systemd/davgate.service");
    let stop = found.iter().find(|(_, name, _)| name == "TimeoutStopSec");
    assert_eq!(stop.unwrap().2, "31min", "PROXY_SHUTDOWN_TIMEOUT is 30m");
}
