//! From `tracing` events to log lines.

use std::fmt;
use std::io::{self, IsTerminal as _};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use super::line::{Line, Stamp, Style};
use super::{LogLevel, LogWriter};
use crate::config;
use crate::model::Clock;

/// The process's log: where lines go and what they look like. Dropping the last clone does not flush;
/// [`Log::flush`] does.
#[derive(Debug, Clone)]
pub struct Log {
    pub(super) writer: LogWriter,
    pub(super) style: Style,
    pub(super) level: LogLevel,
    pub(super) clock: Clock,
}

impl Log {
    /// Starts the writer and makes it the place where `tracing` events and panics of the whole process go.
    ///
    /// # Errors
    /// If the file cannot be opened, or a log was started before.
    pub fn start(config: &config::http::Log, clock: Clock) -> io::Result<Self> {
        let log = Self {
            writer: LogWriter::start(config.file.as_deref())?,
            style: style(config, io::stderr().is_terminal()),
            level: LogLevel::new(config.level),
            clock,
        };
        tracing::subscriber::set_global_default(log.subscriber()).map_err(io::Error::other)?;
        std::panic::set_hook(Box::new(|panic| {
            // Only where, not what: the text of a panic may hold the value that caused it.
            let place = panic.location().map(ToString::to_string);
            tracing::error!(reason = %crate::model::Reason::Internal, place, "panic");
        }));
        Ok(log)
    }

    /// A log that throws everything away, for tests.
    #[must_use]
    pub fn disabled() -> Self {
        Self {
            writer: LogWriter::disabled(),
            style: Style::Json,
            level: LogLevel::new(LevelFilter::OFF),
            clock: Clock::system(),
        }
    }

    /// The writer, whose counter of dropped lines is a metric.
    #[must_use]
    pub fn writer(&self) -> &LogWriter {
        &self.writer
    }

    /// The level in force.
    #[must_use]
    pub(crate) fn level(&self) -> &LogLevel {
        &self.level
    }

    /// Waits until everything is written, a second at most; the last thing before the process ends.
    pub fn flush(&self) {
        self.writer.flush();
    }

    fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        tracing_subscriber::registry().with(Lines { log: self.clone() })
    }
}

/// Lines with this target are written whatever the level, unless the log is off: what the start understood.
pub(crate) const START: &str = "davgate::start";

/// Text for a person who looks at a terminal, JSON for everything else, unless the configuration decides.
fn style(config: &config::http::Log, stderr_is_terminal: bool) -> Style {
    let terminal = config.file.is_none() && stderr_is_terminal;
    match (
        config.pretty.unwrap_or(terminal),
        config.color.unwrap_or(terminal),
    ) {
        (false, _) => Style::Json,
        (true, false) => Style::Text,
        (true, true) => Style::Coloured,
    }
}

/// Writes events as lines, the fields of their spans first.
#[derive(Debug)]
struct Lines {
    log: Log,
}

/// The fields of a span, as they stand in a line.
#[derive(Debug)]
struct SpanFields(Vec<u8>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // Libraries write headers and credentials at debug and trace (h2: whole HEADERS frames), so only
        // their warnings are taken, whatever the level.
        let level = self.log.level.now();
        let most = if metadata.target() == START {
            level.max(LevelFilter::INFO)
        } else if metadata.target().starts_with("davgate") {
            level
        } else {
            level.min(LevelFilter::WARN)
        };
        level != LevelFilter::OFF && *metadata.level() <= most
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // The start's lines come at any level but off; whether another one is written is asked once per place in the code.
        Some(match self.log.level.now() {
            LevelFilter::OFF => LevelFilter::OFF,
            level => level.max(LevelFilter::INFO),
        })
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Vec::new();
        attributes.record(&mut Fields {
            line: Line::fragment(&mut fields, self.log.style),
        });
        span.extensions_mut().insert(SpanFields(fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(SpanFields(fields)) = span.extensions_mut().get_mut() {
            values.record(&mut Fields {
                line: Line::fragment(fields, self.log.style),
            });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        let mut out = Vec::with_capacity(256);
        let mut line = Line::begin(
            &mut out,
            self.log.style,
            level_name(*event.metadata().level()),
            (&mut Stamp::default(), self.log.clock.now_millis()),
            &message.0,
        );
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(SpanFields(fields)) = span.extensions().get() {
                line.fields(fields);
            }
        }
        let mut fields = Fields { line };
        event.record(&mut fields);
        fields.line.end();
        self.log.writer.send(out);
    }
}

/// The words of the existing service.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// Takes the message alone, which has a fixed place.
#[derive(Debug, Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }
}

/// Takes everything but the message.
#[derive(Debug)]
struct Fields<'a> {
    line: Line<'a>,
}

impl Fields<'_> {
    /// A field may not shadow what every line has.
    fn name(field: &Field) -> Option<&'static str> {
        match field.name() {
            "message" => None,
            "level" => Some("level_"),
            "service" => Some("service_"),
            "time" => Some("time_"),
            name => Some(name),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(name) = Self::name(field) {
            self.line.text(name, &format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(name) = Self::name(field) {
            self.line.text(name, value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if let Some(name) = Self::name(field) {
            self.line.integer(name, value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if let Some(name) = Self::name(field) {
            self.line.integer(name, value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if let Some(name) = Self::name(field) {
            if value.is_finite() {
                self.line.raw(name, &value.to_string());
            } else {
                self.line.text(name, &value.to_string());
            }
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if let Some(name) = Self::name(field) {
            self.line.raw(name, if value { "true" } else { "false" });
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        if let Some(name) = Self::name(field) {
            let mut text = value.to_string();
            let mut source = value.source();
            while let Some(cause) = source {
                text.push_str(": ");
                text.push_str(&cause.to_string());
                source = cause.source();
            }
            self.line.text(name, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::Reason;
    use crate::telemetry::writer::tests::Kept;

    fn lines(level: LevelFilter, style: Style, write: impl FnOnce()) -> String {
        let kept = Kept::default();
        let log = log_on(&kept, level, style);
        tracing::subscriber::with_default(log.subscriber(), write);
        log.flush();
        kept.text()
    }

    fn log_on(kept: &Kept, level: LevelFilter, style: Style) -> Log {
        Log {
            writer: LogWriter::start_on(kept.clone()).unwrap(),
            style,
            level: LogLevel::new(level),
            clock: Clock::system(),
        }
    }

    fn json_line(level: LevelFilter, write: impl FnOnce()) -> Value {
        serde_json::from_str(&lines(level, Style::Json, write)).unwrap()
    }

    #[test]
    fn an_event_is_a_line_with_the_names_of_the_existing_service() {
        let mut line = json_line(LevelFilter::INFO, || {
            tracing::warn!(
                reason = %Reason::GroupUnmanaged, group = "a\"b", count = 3, found = false, share = 0.5,
                "request-id" = "0190", time = "mine", "group left alone"
            );
        });
        let time = line.as_object_mut().unwrap().remove("time").unwrap();
        assert!(time.as_str().unwrap().ends_with('Z'));
        assert_eq!(
            line,
            json!({
                "level": "warn", "service": "proxy", "message": "group left alone",
                "reason": "group_unmanaged", "group": "a\"b", "count": 3, "found": false,
                "share": 0.5, "request-id": "0190", "time_": "mine",
            })
        );
    }

    #[test]
    fn an_error_is_written_with_its_causes() {
        let line = json_line(LevelFilter::INFO, || {
            let cause = io::Error::other(io::Error::other("the cause"));
            let error: &(dyn std::error::Error + 'static) = &cause;
            tracing::error!(error, "failed");
        });
        assert_eq!(line["error"], "the cause");
    }

    #[test]
    fn the_fields_of_a_span_are_on_each_of_its_lines() {
        let line = json_line(LevelFilter::INFO, || {
            let span = tracing::info_span!("setup", issuer = "a", account = tracing::field::Empty);
            span.record("account", "u1");
            span.in_scope(|| tracing::info!(step = 2, "done"));
        });
        assert_eq!(
            (&line["issuer"], &line["account"]),
            (&json!("a"), &json!("u1"))
        );
        assert_eq!(line["step"], 2);
    }

    #[test]
    fn libraries_are_heard_from_warnings_on_only_as_they_log_credentials_below() {
        let text = lines(LevelFilter::TRACE, Style::Text, || {
            tracing::debug!(target: "h2::codec", "HEADERS authorization: Bearer");
            tracing::warn!(target: "h2::codec", "heard");
            tracing::trace!("ours");
        });
        assert!(!text.contains("Bearer"), "{text}");
        assert!(
            text.contains("WARN heard") && text.contains("TRACE ours"),
            "{text}"
        );
    }

    #[test]
    fn what_the_start_understood_is_written_at_any_level_but_off() {
        let write = || {
            tracing::info!(target: START, "understood");
            tracing::info!("not asked for");
        };
        assert_eq!(
            json_line(LevelFilter::ERROR, write)["message"],
            "understood"
        );
        assert_eq!(lines(LevelFilter::OFF, Style::Json, write), "");
    }

    #[test]
    fn a_level_that_is_changed_holds_for_places_that_were_asked_before() {
        let kept = Kept::default();
        let log = log_on(&kept, LevelFilter::WARN, Style::Json);
        tracing::subscriber::with_default(log.subscriber(), || {
            let say = |word| tracing::debug!("{word}");
            say("one");
            log.level().set(LevelFilter::DEBUG, "a test");
            say("two");
            log.level().set(LevelFilter::OFF, "a test");
            say("three");
        });
        log.flush();
        let text = kept.text();
        let lines = text.lines().map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            (line["message"].clone(), line["log_level"].clone())
        });
        let changed = json!("the level of the log was changed");
        assert_eq!(
            lines.collect::<Vec<_>>(),
            [
                (changed.clone(), json!("debug")),
                (json!("two"), Value::Null),
                (changed, json!("off")),
            ]
        );
    }

    #[test]
    fn a_terminal_shows_text_and_a_file_or_pipe_gets_json() {
        let log = |file: Option<&str>, pretty, color| config::http::Log {
            level: LevelFilter::WARN,
            pretty,
            color,
            file: file.map(Into::into),
        };
        for (config, terminal, expected) in [
            (log(None, None, None), true, Style::Coloured),
            (log(None, None, None), false, Style::Json),
            (log(Some("/x"), None, None), true, Style::Json),
            (log(None, Some(false), None), true, Style::Json),
            (log(None, Some(true), None), false, Style::Text),
            (log(None, None, Some(false)), true, Style::Text),
        ] {
            assert_eq!(style(&config, terminal), expected, "{config:?}");
        }
    }

    #[test]
    fn below_the_level_nothing_is_written() {
        assert_eq!(
            lines(LevelFilter::WARN, Style::Json, || tracing::info!("no")),
            ""
        );
        assert_eq!(
            lines(LevelFilter::OFF, Style::Json, || tracing::error!("no")),
            ""
        );
    }
}
