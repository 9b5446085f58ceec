//! Parts that are not built yet. Their settings are read and validated, so that a drop-in file is understood whole.

use crate::config::setting::{Kind, Preset, Setting};

const fn s(
    key: &'static str,
    names: &'static [&'static str],
    kind: Kind,
    preset: Preset,
    purpose: &'static str,
) -> Setting {
    Setting::new(key, names, kind, preset, purpose)
}

pub(super) const SETTINGS: &[Setting] = &[s(
    "debug.pprof",
    &["PROXY_DEBUG_PPROF"],
    Kind::Bool,
    Preset::Text("false"),
    "profiles on the debug listener",
)
.later(&["false"], "take it out")];
