//! Which user names are accepted (docs/design/design.md 2, User names; docs/design/hardening.md rows 99 and 100).

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use crate::config::accounts::UsernameMatch;

/// Longest user name in bytes.
const MAX_NAME_BYTES: usize = 255;

/// Checks a name by the rules that hold for every account, old or new.
///
/// # Errors
/// What is wrong with it, for the log.
pub(super) fn check(name: &str) -> Result<(), &'static str> {
    if name.trim().is_empty() {
        Err("it is empty")
    } else if name.len() > MAX_NAME_BYTES {
        Err("it is longer than 255 bytes")
    } else if name == "." || name == ".." {
        Err("it is a dot segment")
    } else if name.contains(['/', ':']) {
        Err("it has `/` or `:`")
    } else if name.chars().any(is_invisible) {
        Err("it has control, bidi or zero-width characters")
    } else {
        Ok(())
    }
}

/// Checks a name by the stricter rules for an account that is about to be made.
///
/// # Errors
/// What is wrong with it, for the log.
pub(super) fn check_new(name: &str, rules: UsernameMatch) -> Result<(), &'static str> {
    check(name)?;
    match rules {
        UsernameMatch::None => Ok(()),
        UsernameMatch::Default if name.starts_with(|c: char| c.is_ascii_digit()) => {
            Err("it starts with a digit")
        }
        UsernameMatch::Default if name.chars().all(is_plain) => Ok(()),
        UsernameMatch::Default => Err("it has characters outside letters, digits and `.-_@+`"),
    }
}

/// Whether two names differ in nothing but case and Unicode composition. `ａdmin` and `admin ` are *not* the same person
/// as `admin` here, although a directory may find one by the other: whoever could register such a name at the issuer
/// would get somebody else's account.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one.nfc()
        .default_case_fold()
        .nfc()
        .eq(other.nfc().default_case_fold().nfc())
}

/// Control, bidi and zero-width characters: what a person cannot see, and what ends up in logs and headers.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn row_99_invisible_characters_are_refused_in_both_modes() {
        for name in [
            "a\rb",
            "a\nb",
            "a\tb",
            "a\u{202e}b",
            "a\u{0}b",
            "\u{1f}",
            "a\u{200b}b",
            "a\u{2066}",
        ] {
            assert!(check(name).is_err(), "{name:?}");
            assert!(check_new(name, UsernameMatch::None).is_err(), "{name:?}");
        }
    }

    #[test]
    fn row_99_only_case_and_composition_are_ignored() {
        assert!(is_same("ADMIN", "admin"));
        assert!(is_same("Ma\u{308}ra", "m\u{e4}ra"));
        assert!(!is_same("ａdmin", "admin"));
        assert!(!is_same("admin ", "admin"));
    }

    #[test]
    fn row_100_names_that_break_paths_or_claims_are_refused() {
        let long = "a".repeat(256);
        for name in ["", " ", ".", "..", "/", "a/b", "a:b", long.as_str()] {
            assert!(check_new(name, UsernameMatch::None).is_err(), "{name:?}");
        }
        assert!(check_new("4711", UsernameMatch::Default).is_err());
        assert!(check_new("4711", UsernameMatch::None).is_ok());
        assert!(check_new(&"a".repeat(255), UsernameMatch::Default).is_ok());
    }

    #[test]
    fn the_default_rule_takes_mail_like_names_and_nothing_exotic() {
        assert!(check_new("mara.k-1_x+y@corp.test", UsernameMatch::Default).is_ok());
        assert!(check_new("Åsa Berg", UsernameMatch::Default).is_err());
        assert!(check_new("Åsa Berg", UsernameMatch::None).is_ok());
    }

    proptest! {
        #[test]
        fn an_accepted_name_is_visible_and_short(name in any::<String>()) {
            if check(&name).is_ok() {
                prop_assert!(name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control));
            }
        }
    }
}
