//! The two text forms in which metrics are shown: OpenMetrics 1.0, and the older one of Prometheus (0.0.4) for whoever does
//! not ask for the former.

use http::HeaderMap;
use http::header::ACCEPT;

/// A text form of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposition {
    /// Its families are named without `_total`, and it has an end.
    OpenMetrics,
    /// What every scraper reads.
    Prometheus,
}

impl Exposition {
    /// What a scraper asks for: OpenMetrics where it is named and not refused, else Prometheus.
    #[must_use]
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT).iter();
        let texts = lines.filter_map(|value| value.to_str().ok());
        let wants = texts.flat_map(|text| text.split(',')).any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            kind.eq_ignore_ascii_case("application/openmetrics-text")
                && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        });
        if wants {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// For `Content-Type`.
    #[must_use]
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// A text of OpenMetrics in this form.
    #[must_use]
    pub(crate) fn of(self, text: String) -> String {
        match self {
            Self::OpenMetrics => text,
            Self::Prometheus => prometheus(&text),
        }
    }
}

/// Counters bear their suffix in the lines about them, too; units and the end are left out.
fn prometheus(text: &str) -> String {
    let is_counter = |name: &str| {
        let line = format!("# TYPE {name} counter\n");
        text.contains(&line)
    };
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        let about = (words.next(), words.next(), words.next());
        match about {
            (Some("#"), Some("EOF" | "UNIT"), _) => continue,
            (Some("#"), Some(keyword), Some(name)) if is_counter(name) => {
                let rest = words.next().unwrap_or_default();
                out.push_str(&format!("# {keyword} {name}_total {rest}"));
            }
            (Some("#"), Some("TYPE"), Some(name)) if line.ends_with(" unknown") => {
                out.push_str(&format!("# TYPE {name} untyped"));
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn wanted(accept: &[&'static str]) -> Exposition {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(ACCEPT, HeaderValue::from_static(value));
        }
        Exposition::wanted(&headers)
    }

    #[test]
    fn issue_15_28_open_metrics_is_for_those_who_ask_for_it() {
        for accept in [
            &[][..],
            &["*/*"],
            &["text/plain"],
            &["application/openmetrics-text;q=0"],
        ] {
            assert_eq!(wanted(accept), Exposition::Prometheus, "{accept:?}");
        }
        let of_prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2";
        for accept in [
            &[of_prometheus][..],
            &["*/*", "Application/OpenMetrics-Text"],
        ] {
            assert_eq!(wanted(accept), Exposition::OpenMetrics, "{accept:?}");
        }
    }

    #[test]
    fn the_older_form_names_counters_whole_and_has_no_end() {
        let open = "# HELP a_requests Requests answered.\n# TYPE a_requests counter\na_requests_total{method=\"GET\"} 3\n\
            # HELP a_time Time.\n# TYPE a_time gauge\n# UNIT a_time seconds\na_time 1\n# EOF\n";
        let old = "# HELP a_requests_total Requests answered.\n# TYPE a_requests_total counter\n\
            a_requests_total{method=\"GET\"} 3\n# HELP a_time Time.\n# TYPE a_time gauge\na_time 1\n";
        assert_eq!(Exposition::Prometheus.of(open.to_owned()), old);
        assert_eq!(Exposition::OpenMetrics.of(open.to_owned()), open);
    }
}
