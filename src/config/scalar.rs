//! Reads single values: booleans, durations, sizes, addresses, lists. Errors say what would be right.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_yaml::Value;
use url::Url;

use super::setting::Kind;

/// A scalar as text; `None` for null, lists and maps.
pub(crate) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => None,
    }
}

/// Checks a text against its kind, without keeping the value.
pub(crate) fn check(kind: Kind, text: &str) -> Result<(), String> {
    if text.is_empty() && !matches!(kind, Kind::Bool | Kind::Duration) {
        return Ok(());
    }
    match kind {
        Kind::Text | Kind::Path | Kind::Secret | Kind::List | Kind::Tree => Ok(()),
        Kind::Url => url(text).map(drop),
        Kind::Bool => boolean(text).map(drop),
        Kind::Int => integer(text).map(drop),
        Kind::Minutes => integer(text)
            .map(drop)
            .map_err(|e| format!("{e} of minutes")),
        Kind::Seconds => integer(text)
            .map(drop)
            .map_err(|e| format!("{e} of seconds")),
        Kind::Duration => duration(text).map(drop),
        Kind::Bytes => bytes(text).map(drop),
        Kind::Address => address(text).map(drop),
        Kind::Word(words) => {
            if words.contains(&text) {
                Ok(())
            } else {
                Err(format!("is {text:?}; it can be {}", words.join(", ")))
            }
        }
        Kind::ClaimValues => list(text)
            .iter()
            .try_for_each(|item| claim_value(item).map(drop)),
    }
}

/// Go's `strconv.ParseBool`; an empty text is false, as an unset one.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!("is {text:?}; it can be true or false")),
    }
}

/// `yes`, `on` and the like, which YAML 1.1 reads as booleans and Go's YAML with it.
pub(crate) fn yaml_boolean(text: &str) -> &str {
    match text {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => "true",
        "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => "false",
        other => other,
    }
}

/// A whole number that is not negative.
pub(crate) fn integer(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("is {text:?}; it has to be a whole number"))
}

/// Go's `time.ParseDuration`, or integer nanoseconds. Never negative.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("is {text:?}; it has to be a duration such as 10s, 1h30m or 500ms");
    if text.is_empty() || text == "0" {
        return Ok(Duration::ZERO);
    }
    if let Ok(nanoseconds) = text.parse::<u64>() {
        if nanoseconds < 1_000_000 {
            return Err(format!(
                "is {text}, which without a unit means nanoseconds; write {text}s for seconds"
            ));
        }
        return Ok(Duration::from_nanos(nanoseconds));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut seconds = 0f64;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        rest = &rest[end..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        seconds += number * unit;
        rest = &rest[end..];
    }
    // Go holds durations in 63 bits of nanoseconds, about 292 years.
    if seconds > 9.2e9 {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// A number of bytes, `268435456` or `256MiB`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("is {text:?}; it has to be a number of bytes, such as 256MiB");
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..end].parse().map_err(|_| wrong())?;
    let factor = match text[end..].trim_start() {
        "" | "B" => 1,
        "KiB" | "K" | "Ki" => 1 << 10,
        "MiB" | "M" | "Mi" => 1 << 20,
        "GiB" | "G" | "Gi" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

/// An absolute http or https URL with a host.
pub(crate) fn url(text: &str) -> Result<Url, String> {
    let parsed = Url::parse(text)
        .map_err(|error| format!("is {text:?}, which is no URL ({error}); write https://host"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(format!("is {text:?}; only http and https URLs can be used"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("has user information in the URL; take it out".to_owned());
    }
    Ok(parsed)
}

/// `host:port` to listen on; `:9200` is every address, `localhost` is 127.0.0.1.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let wrong =
        || format!("is {text:?}; it has to be an address and a port, such as 127.0.0.1:9200");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let ip = match host {
        "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => return Err(wrong()),
    };
    Ok(SocketAddr::new(ip, port))
}

/// Comma-separated items, trimmed, empty ones dropped.
pub(crate) fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `claim=value`; the value may have further `=`.
pub(crate) fn claim_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((claim, value)) if !claim.trim().is_empty() && !value.trim().is_empty() => {
            Ok((claim.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(format!("has {text:?}; each item has to be claim=value")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn go_durations_are_read() {
        for (text, milliseconds) in [
            ("10s", 10_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("500ms", 500),
            ("0", 0),
            ("10000000000", 10_000),
            ("1m0.5s", 60_500),
        ] {
            assert_eq!(
                duration(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn wrong_durations_are_refused() {
        for text in [
            "-5s",
            "5",
            "10",
            "5 s",
            "5x",
            "s",
            ".",
            "1..5s",
            "1e400s",
            "999999999h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_and_sizes_are_read() {
        assert_eq!(address(":9200").unwrap().to_string(), "0.0.0.0:9200");
        assert_eq!(address("localhost:1").unwrap().to_string(), "127.0.0.1:1");
        assert!(address("9200").is_err());
        assert!(address("host.example:1").is_err());
        assert_eq!(bytes("256MiB"), Ok(268_435_456));
        assert_eq!(bytes("12"), Ok(12));
        assert!(bytes("12 Mb").is_err());
        assert!(bytes("99999999999GiB").is_err());
    }

    #[test]
    fn booleans_are_those_of_go() {
        assert_eq!(boolean("T"), Ok(true));
        assert!(boolean("yes").is_err());
        assert_eq!(boolean(yaml_boolean("yes")), Ok(true));
    }

    proptest! {
        #[test]
        fn any_duration_text_is_read_without_a_panic(text in r"[0-9a-zµ.+\- ]{0,24}") {
            let _ = duration(&text);
        }

        #[test]
        fn whole_seconds_come_back(hours in 0u64..1000, minutes in 0u64..60, seconds in 0u64..60) {
            let text = format!("{hours}h{minutes}m{seconds}s");
            prop_assert_eq!(duration(&text), Ok(Duration::from_secs(hours * 3600 + minutes * 60 + seconds)));
        }
    }
}
