//! A key of the configuration with the type of its value: a name that does not exist, and a value read as something
//! else than what the table says it is, do not compile.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_yaml::Value;
use strum::VariantNames;

use super::Secret;
use super::given::Given;
use super::scalar;
use super::setting::{Kind, Preset, Setting};

/// A setting whose value is read as `T`.
pub(crate) struct Key<T> {
    /// Its line of the table.
    pub(crate) setting: Setting,
    value: PhantomData<fn() -> T>,
}

// By hand: a derived one would ask for `T: Copy`.
impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> std::fmt::Display for Key<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.setting.key)
    }
}

impl<T> AsRef<str> for Key<T> {
    fn as_ref(&self) -> &str {
        self.setting.key
    }
}

/// What the value of a setting can be: its kind in the table, and how it is read.
pub(crate) trait SettingValue {
    /// The kind in the table.
    const KIND: Kind;
    /// What a reader gets. A value that was noted as a mistake reads as nothing or zero.
    type Read<'a>;
    /// The value of what was given, which was held against [`Self::KIND`] before.
    fn read(given: &Given) -> Self::Read<'_>;
}

impl<T: SettingValue> Key<T> {
    /// A setting whose part is built.
    pub(crate) const fn new(
        path: &'static str,
        names: &'static [&'static str],
        preset: Preset,
        purpose: &'static str,
    ) -> Self {
        Self::of(Setting::new(path, names, T::KIND, preset, purpose))
    }
}

impl<T> Key<T> {
    const fn of(setting: Setting) -> Self {
        Self {
            setting,
            value: PhantomData,
        }
    }

    /// Path of the key in `proxy.yaml`.
    pub(crate) const fn path(self) -> &'static str {
        self.setting.key
    }

    /// A reload puts a change in force for the next request.
    pub(crate) const fn live(self) -> Self {
        Self::of(self.setting.live())
    }

    /// A reload puts a change in force, and every session is set up anew.
    pub(crate) const fn new_sessions(self) -> Self {
        Self::of(self.setting.new_sessions())
    }

    /// It is also read from this key of the main file.
    pub(crate) const fn shared(self, path: &'static str) -> Self {
        Self::of(self.setting.shared(path))
    }

    /// Its part is not built yet.
    pub(crate) const fn later(self, off: &'static [&'static str], instead: &'static str) -> Self {
        Self::of(self.setting.later(off, instead))
    }

    /// It belongs to a part that is not built yet.
    pub(crate) const fn detail(self, of: &'static str) -> Self {
        Self::of(self.setting.detail(of))
    }

    /// It has no effect any more.
    pub(crate) const fn obsolete(self, why: &'static str) -> Self {
        Self::of(self.setting.obsolete(why))
    }
}

/// Whole minutes.
pub(crate) struct Minutes;
/// Whole milliseconds; a number in the table, because OpenTelemetry says so.
pub(crate) struct Milliseconds;
/// Whole seconds.
pub(crate) struct Seconds;
/// Bytes, with an optional unit.
pub(crate) struct Bytes;
/// Host and port to listen on.
pub(crate) struct Address;
/// An absolute http or https URL.
pub(crate) struct Url;
/// `claim=value` texts.
pub(crate) struct ClaimValues;
/// A list or map of its own shape.
pub(crate) struct Tree;
/// One of the words that an enum's variants are called.
pub(crate) struct Word<E>(PhantomData<E>);

/// A kind of value that is read from one text.
macro_rules! read_from_text {
    ($($value:ty, $kind:ident, $read:ty, $from:expr;)*) => {$(
        impl SettingValue for $value {
            const KIND: Kind = Kind::$kind;
            type Read<'a> = $read;
            fn read(given: &Given) -> $read {
                let from: fn(String) -> $read = $from;
                from(given.text())
            }
        }
    )*};
}

read_from_text! {
    String, Text, String, |text| text;
    bool, Bool, bool, |text| scalar::boolean(&text).unwrap_or(false);
    usize, Int, usize, |text| text.parse().unwrap_or(0);
    Milliseconds, Int, Duration, |text| Duration::from_millis(scalar::integer(&text).unwrap_or(0));
    Minutes, Minutes, Duration, |text| Duration::from_secs(scalar::integer(&text).unwrap_or(0).saturating_mul(60));
    Seconds, Seconds, Duration, |text| Duration::from_secs(scalar::integer(&text).unwrap_or(0));
    Duration, Duration, Duration, |text| scalar::duration(&text).unwrap_or(Duration::ZERO);
    Bytes, Bytes, u64, |text| scalar::bytes(&text).unwrap_or(0);
    Address, Address, Option<std::net::SocketAddr>, |text| scalar::address(&text).ok();
    Url, Url, Option<url::Url>, |text| scalar::url(&text).ok();
    PathBuf, Path, Option<PathBuf>, |text| (!text.is_empty()).then(|| PathBuf::from(text));
    Secret, Secret, Option<Secret>, |text| (!text.is_empty()).then(|| Secret::new(text));
}

impl SettingValue for Vec<String> {
    const KIND: Kind = Kind::List;
    type Read<'a> = Self;
    fn read(given: &Given) -> Self {
        given.list()
    }
}

impl SettingValue for ClaimValues {
    const KIND: Kind = Kind::ClaimValues;
    type Read<'a> = Vec<String>;
    fn read(given: &Given) -> Vec<String> {
        given.list()
    }
}

impl SettingValue for Tree {
    const KIND: Kind = Kind::Tree;
    type Read<'a> = Option<&'a Value>;
    fn read(given: &Given) -> Option<&Value> {
        match given {
            Given::Tree(tree) => Some(tree),
            Given::Text(_) | Given::List(_) => None,
        }
    }
}

/// The variant that the word names; `None` where nothing is said, or a word that does not exist and was noted.
impl<E: FromStr + VariantNames> SettingValue for Word<E> {
    const KIND: Kind = Kind::Word(E::VARIANTS);
    type Read<'a> = Option<E>;
    fn read(given: &Given) -> Option<E> {
        given.text().parse().ok()
    }
}
