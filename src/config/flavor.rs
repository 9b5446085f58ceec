//! Whose names and defaults apply, of which release, and the two folders; decided before any file is read.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::notes::{Notes, Place};
use super::vars::Vars;
use super::{Compat, Flavor};

/// What has to be known before files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Boot {
    pub(crate) flavor: Flavor,
    pub(crate) compat: Compat,
    /// Nobody says which release it is, so the backends are asked.
    pub(crate) asks_release: bool,
    pub(crate) config_dir: PathBuf,
    pub(crate) data_dir: PathBuf,
}

impl Boot {
    /// Reads `PROXY_FLAVOR`, `PROXY_COMPAT` and the two folders. `found`: what the backends say they are.
    pub(crate) fn read(
        config_dir: Option<&Path>,
        found: Option<Compat>,
        vars: &dyn Vars,
        notes: &mut Notes,
    ) -> Self {
        let named = set(vars, "PROXY_COMPAT").filter(|text| text != AUTO);
        let asks_release = named.is_none();
        let compat = named.and_then(|text| {
            let compat = Compat::from_name(&text);
            if compat.is_none() {
                let names = Compat::ALL.map(Compat::name).join(", ");
                notes.mistake(
                    variable("PROXY_COMPAT"),
                    format!("is {text:?}; it can be {AUTO}, {names}"),
                );
            }
            compat
        });
        let named = set(vars, "PROXY_FLAVOR").and_then(|text| match text.as_str() {
            "opencloud" => Some(Flavor::OpenCloud),
            "ocis" => Some(Flavor::Ocis),
            _ => {
                notes.mistake(
                    variable("PROXY_FLAVOR"),
                    format!("is {text:?}; it can be opencloud or ocis"),
                );
                None
            }
        });
        let flavor = named
            .or(compat.map(Compat::flavor))
            .unwrap_or_else(|| guess(vars));
        if let Some(compat) = compat.filter(|compat| compat.flavor() != flavor) {
            notes.mistake(
                variable("PROXY_COMPAT"),
                format!(
                    "is {:?}, a release of the other flavour than PROXY_FLAVOR={}; set only one of them",
                    compat.name(),
                    flavor.name()
                ),
            );
        }
        Self {
            flavor,
            compat: compat
                .or(found.filter(|found| found.flavor() == flavor))
                .unwrap_or(flavor.newest()),
            asks_release,
            config_dir: config_dir.map_or_else(|| folder(flavor, vars, CONFIG), Path::to_owned),
            data_dir: folder(flavor, vars, DATA),
        }
    }
}

/// The default of `PROXY_COMPAT`.
const AUTO: &str = "auto";

/// Variable without its prefix, folder below `$HOME/.opencloud`, packaged folder below its parent.
struct Folder {
    variable: &'static str,
    below_home: &'static str,
    packaged: &'static str,
}

const CONFIG: Folder = Folder {
    variable: "CONFIG_DIR",
    below_home: "config",
    packaged: "/etc",
};
const DATA: Folder = Folder {
    variable: "BASE_DATA_PATH",
    below_home: "",
    packaged: "/var/lib",
};

fn folder(flavor: Flavor, vars: &dyn Vars, folder: Folder) -> PathBuf {
    let (own, other) = match flavor {
        Flavor::OpenCloud => ("OC_", "OCIS_"),
        Flavor::Ocis => ("OCIS_", "OC_"),
    };
    for prefix in [own, other] {
        if let Some(path) = set(vars, &format!("{prefix}{}", folder.variable)) {
            return path.into();
        }
    }
    let home = set(vars, "HOME").map(|home| Path::new(&home).join(format!(".{}", flavor.name())));
    match home {
        Some(home) if home.is_dir() => home.join(folder.below_home),
        _ => Path::new(folder.packaged).join(flavor.name()),
    }
}

fn guess(vars: &dyn Vars) -> Flavor {
    let names = vars.names();
    let any = |prefix| names.iter().any(|name| name.starts_with(prefix));
    if any("OCIS_") && !any("OC_") {
        Flavor::Ocis
    } else {
        Flavor::OpenCloud
    }
}

fn set(vars: &dyn Vars, name: &str) -> Option<String> {
    vars.var(name)
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

fn variable(name: &str) -> Place {
    Place {
        variables: vec![name.to_owned()],
        ..Place::default()
    }
}

impl Flavor {
    /// `opencloud` or `ocis`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenCloud => "opencloud",
            Self::Ocis => "ocis",
        }
    }

    /// The flavour's own spelling of a variable that is written `OC_X` in the table.
    #[must_use]
    pub fn own(self, name: &str) -> String {
        match (self, name.strip_prefix("OC_")) {
            (Self::Ocis, Some(rest)) => format!("OCIS_{rest}"),
            _ => name.to_owned(),
        }
    }

    /// A text about settings with each `OC_X` in the flavour's own spelling. Whoever followed it to the letter would else
    /// set a variable of the other product, and with it the flavour.
    #[must_use]
    pub fn words(self, text: &str) -> Cow<'_, str> {
        const OTHER: &str = "OC_";
        if self == Self::OpenCloud || !text.contains(OTHER) {
            return Cow::Borrowed(text);
        }
        let mut told = String::with_capacity(text.len() + 16);
        let mut rest = text;
        while let Some(at) = rest.find(OTHER) {
            let (before, from) = rest.split_at(at);
            let after = &from[OTHER.len()..];
            let is_inside = before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            let is_name = after.starts_with(|c: char| c.is_ascii_uppercase() || c == '*');
            told.push_str(before);
            told.push_str(if is_name && !is_inside {
                "OCIS_"
            } else {
                OTHER
            });
            rest = after;
        }
        told.push_str(rest);
        Cow::Owned(told)
    }

    /// The newest release known.
    #[must_use]
    pub const fn newest(self) -> Compat {
        match self {
            Self::OpenCloud => Compat::OpenCloud8,
            Self::Ocis => Compat::Ocis8,
        }
    }
}

impl Compat {
    /// All releases, oldest first.
    pub const ALL: [Self; 7] = [
        Self::OpenCloud1,
        Self::OpenCloud4,
        Self::OpenCloud5,
        Self::OpenCloud7,
        Self::OpenCloud8,
        Self::Ocis7,
        Self::Ocis8,
    ];

    /// The value of `PROXY_COMPAT`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenCloud1 => "opencloud-1",
            Self::OpenCloud4 => "opencloud-4",
            Self::OpenCloud5 => "opencloud-5",
            Self::OpenCloud7 => "opencloud-7",
            Self::OpenCloud8 => "opencloud-8",
            Self::Ocis7 => "ocis-7",
            Self::Ocis8 => "ocis-8",
        }
    }

    /// The release of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|compat| compat.name() == name)
    }

    /// Whose defaults a version of the product has (`productversion` of `/status.php`); a value holds up to the next one.
    #[must_use]
    pub fn of_version(flavor: Flavor, version: &str) -> Option<Self> {
        let end = version.find(|c: char| !c.is_ascii_digit());
        let major: u32 = version[..end.unwrap_or(version.len())].parse().ok()?;
        Some(match (flavor, major) {
            (Flavor::OpenCloud, ..4) => Self::OpenCloud1,
            (Flavor::OpenCloud, 4) => Self::OpenCloud4,
            (Flavor::OpenCloud, 5 | 6) => Self::OpenCloud5,
            (Flavor::OpenCloud, 7) => Self::OpenCloud7,
            (Flavor::OpenCloud, 8..) => Self::OpenCloud8,
            (Flavor::Ocis, ..8) => Self::Ocis7,
            (Flavor::Ocis, 8..) => Self::Ocis8,
        })
    }

    /// Whose release it is.
    #[must_use]
    pub const fn flavor(self) -> Flavor {
        match self {
            Self::OpenCloud1
            | Self::OpenCloud4
            | Self::OpenCloud5
            | Self::OpenCloud7
            | Self::OpenCloud8 => Flavor::OpenCloud,
            Self::Ocis7 | Self::Ocis8 => Flavor::Ocis,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(vars: &[(&str, &str)]) -> (Boot, Notes) {
        let mut notes = Notes::default();
        (Boot::read(None, None, &vars, &mut notes), notes)
    }

    #[test]
    fn issue_14_10_a_text_names_the_flavours_own_variables_and_nothing_else_changes() {
        for (text, told) in [
            ("see OC_LDAP_URI", "see OCIS_LDAP_URI"),
            ("OC_LDAP_*, (OC_URL)", "OCIS_LDAP_*, (OCIS_URL)"),
            ("`OC_A`OC_B", "`OCIS_A`OCIS_B"),
            (
                "PROXY_OC_X, NOC_URL, OC_, OC_x",
                "PROXY_OC_X, NOC_URL, OC_, OC_x",
            ),
            ("OCIS_URL", "OCIS_URL"),
            ("\u{e4}OC_URL", "\u{e4}OCIS_URL"),
            ("", ""),
        ] {
            assert_eq!(Flavor::Ocis.words(text), told);
            assert_eq!(Flavor::OpenCloud.words(text), text);
        }
    }

    #[test]
    fn the_flavour_follows_the_variables_that_are_set() {
        assert_eq!(boot(&[]).0.flavor, Flavor::OpenCloud);
        assert_eq!(boot(&[("OCIS_URL", "x")]).0.flavor, Flavor::Ocis);
        assert_eq!(
            boot(&[("OCIS_URL", "x"), ("OC_URL", "x")]).0.flavor,
            Flavor::OpenCloud
        );
        assert_eq!(
            boot(&[("OC_URL", "x"), ("PROXY_FLAVOR", "ocis")]).0.compat,
            Compat::Ocis8
        );
        assert_eq!(boot(&[("PROXY_COMPAT", "ocis-7")]).0.flavor, Flavor::Ocis);
    }

    #[test]
    fn a_release_of_the_other_flavour_is_a_mistake() {
        let (_, notes) = boot(&[("PROXY_FLAVOR", "ocis"), ("PROXY_COMPAT", "opencloud-7")]);
        assert!(
            notes.mistakes[0]
                .to_string()
                .starts_with("(PROXY_COMPAT) is \"opencloud-7\"")
        );
    }

    #[test]
    fn what_the_backends_say_counts_unless_the_operator_says_it() {
        let found = |vars: &[(&str, &str)], found| {
            let boot = Boot::read(None, Some(found), &vars, &mut Notes::default());
            (boot.compat, boot.asks_release)
        };
        let one = Compat::OpenCloud1;
        assert_eq!(found(&[], one), (one, true));
        assert_eq!(found(&[("PROXY_COMPAT", "auto")], one), (one, true));
        let named = [("PROXY_COMPAT", "opencloud-7")];
        assert_eq!(found(&named, one), (Compat::OpenCloud7, false));
        let other = [("PROXY_FLAVOR", "ocis")];
        assert_eq!(found(&other, one), (Compat::Ocis8, true));
    }

    #[test]
    fn a_version_has_the_defaults_of_the_last_release_that_changed_them() {
        for (flavor, version, compat) in [
            (Flavor::OpenCloud, "0.1.0+dev", Some(Compat::OpenCloud1)),
            (Flavor::OpenCloud, "1.0.0", Some(Compat::OpenCloud1)),
            (Flavor::OpenCloud, "3.7.0", Some(Compat::OpenCloud1)),
            (Flavor::OpenCloud, "4.0.0-rc.1", Some(Compat::OpenCloud4)),
            (Flavor::OpenCloud, "6.1.0", Some(Compat::OpenCloud5)),
            (Flavor::OpenCloud, "7.5.2", Some(Compat::OpenCloud7)),
            (Flavor::OpenCloud, "8", Some(Compat::OpenCloud8)),
            (Flavor::OpenCloud, "12.0", Some(Compat::OpenCloud8)),
            (Flavor::Ocis, "7.1.0", Some(Compat::Ocis7)),
            (Flavor::Ocis, "8.0.1", Some(Compat::Ocis8)),
            (Flavor::Ocis, "v8", None),
            (Flavor::Ocis, "", None),
            (Flavor::OpenCloud, "99999999999.0", None),
        ] {
            assert_eq!(Compat::of_version(flavor, version), compat, "{version}");
        }
    }

    #[test]
    fn folders_are_those_of_the_flavour() {
        let boot = boot(&[("OCIS_BASE_DATA_PATH", "/data"), ("PROXY_FLAVOR", "ocis")]).0;
        assert_eq!(boot.data_dir, Path::new("/data"));
        assert_eq!(boot.config_dir, Path::new("/etc/ocis"));
    }
}
