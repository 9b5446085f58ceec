//! "Did you mean": the known name with the fewest edits.

/// The nearest of `known`, if it is near enough to be a slip.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.len() / 6).clamp(1, 4);
    known
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= limit)
        .map(|candidate| (strsim::levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_none() {
        let known = ["oidc.issuer", "oidc.insecure", "http.addr"];
        assert_eq!(
            nearest("oidc.isuer", known.into_iter()),
            Some("oidc.issuer")
        );
        assert_eq!(nearest("graph.addr", known.into_iter()), None);
    }
}
