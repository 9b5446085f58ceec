//! `${NAME}`, `${NAME|default}` and `${NAME|?message}` in strings of YAML files (docs/design/contract.md 8.1).

use super::vars::Vars;

/// Replaces every reference in `text`. What does not look like one (`${1}`, an open `${`) stays as it is.
///
/// # Errors
/// The message of a required variable that is not set, or is empty.
pub(crate) fn substitute(text: &str, vars: &dyn Vars) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let inside = &from[2..];
        match inside
            .find('}')
            .map(|end| (&inside[..end], &inside[end + 1..]))
        {
            Some((reference, after)) if is_reference(reference) => {
                out.push_str(&resolve(reference, vars)?);
                rest = after;
            }
            _ => {
                out.push_str("${");
                rest = inside;
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn resolve(reference: &str, vars: &dyn Vars) -> Result<String, String> {
    let (name, fallback) = match reference.split_once('|') {
        Some((name, fallback)) => (name.trim(), Some(fallback.trim())),
        None => (reference.trim(), None),
    };
    let value = vars.var(name).filter(|value| !value.is_empty());
    match (value, fallback) {
        (Some(value), _) => Ok(value),
        (None, None) => Ok(String::new()),
        (None, Some(fallback)) => match fallback.strip_prefix('?') {
            Some(message) if message.trim().is_empty() => {
                Err(format!("the variable {name} is required"))
            }
            Some(message) => Err(format!(
                "the variable {name} is required: {}",
                message.trim()
            )),
            None => Ok(fallback.to_owned()),
        },
    }
}

fn is_reference(text: &str) -> bool {
    let name = text.split('|').next().unwrap_or_default().trim();
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::substitute;

    const VARS: &[(&str, &str)] = &[
        ("HOST", "cloud.example"),
        ("EMPTY", ""),
        ("NEST", "${HOST}"),
    ];

    fn with(text: &str) -> String {
        substitute(text, &VARS).unwrap()
    }

    #[test]
    fn names_defaults_and_blanks_are_understood() {
        assert_eq!(with("https://${HOST}/x"), "https://cloud.example/x");
        assert_eq!(
            with("${ HOST | other }:${PORT | 443 }"),
            "cloud.example:443"
        );
        assert_eq!(with("a${MISSING}b"), "ab");
        assert_eq!(with("${EMPTY|fallback}"), "fallback");
    }

    #[test]
    fn a_required_variable_is_named_with_its_message() {
        let error = substitute("${DOMAIN|?set the domain}", &VARS).unwrap_err();
        assert_eq!(error, "the variable DOMAIN is required: set the domain");
    }

    #[test]
    fn a_value_is_not_looked_at_again() {
        assert_eq!(with("${NEST}"), "${HOST}");
    }

    #[test]
    fn what_is_no_reference_stays() {
        for text in ["${1}", "a${", "$HOST", "${}", "^/x{2}$", "${a-b}"] {
            assert_eq!(with(text), text);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in r"[a-z$\{\}|? é]{0,40}") {
            let _ = substitute(&text, &VARS);
        }

        #[test]
        fn text_without_a_dollar_is_unchanged(text in r"[^$]{0,40}") {
            prop_assert_eq!(substitute(&text, &VARS).unwrap(), text);
        }
    }
}
