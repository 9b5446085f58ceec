//! What is known of one span when it is over.

use std::borrow::Cow;

use crate::model::TraceContext;

/// A finished span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Span {
    /// Its trace and its own id.
    pub(crate) context: TraceContext,
    /// The span it is a child of.
    pub(crate) parent: Option<[u8; 8]>,
    /// What its caller sent as `tracestate`.
    pub(crate) state: String,
    /// Its side of a call.
    pub(crate) kind: Kind,
    /// Of few values, as operations have.
    pub(crate) name: Cow<'static, str>,
    /// Nanoseconds since 1970-01-01 UTC.
    pub(crate) started: u64,
    /// The same.
    pub(crate) ended: u64,
    /// By the names of OpenTelemetry's semantic conventions. No token, and nothing of a person.
    pub(crate) attributes: Vec<(&'static str, Value)>,
    /// What went wrong, as a word; `None`: nothing did.
    pub(crate) error: Option<String>,
}

/// A side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Neither.
    Internal,
    /// Who answers.
    Server,
    /// Who asks.
    Client,
}

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl Span {
    /// One without times and attributes.
    pub(crate) fn new(
        context: TraceContext,
        parent: Option<[u8; 8]>,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            context,
            parent,
            state: String::new(),
            kind,
            name: name.into(),
            started: 0,
            ended: 0,
            attributes: Vec::new(),
            error: None,
        }
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, name: &'static str, value: impl Into<String>) {
        self.attributes.push((name, Value::Text(value.into())));
    }

    /// Adds a number.
    pub(crate) fn number(&mut self, name: &'static str, value: impl Into<i64>) {
        self.attributes.push((name, Value::Number(value.into())));
    }
}
