//! Finds the first of many prefixes of a path without looking at each.

/// Prefixes in the order of the alphabet, each with the next shorter one that it starts with.
///
/// All prefixes of a path that are in the list stand on one chain: it begins at the greatest entry that is not above
/// the path. So a search is one bisection and a few steps, whatever the number of routes.
#[derive(Debug, Default)]
pub(super) struct PrefixIndex {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    prefix: String,
    /// Positions in the policy, ascending.
    routes: Vec<usize>,
    parent: Option<usize>,
}

impl PrefixIndex {
    /// Builds the index from prefixes and their positions, in ascending order of positions.
    pub(super) fn new(routes: impl IntoIterator<Item = (String, usize)>) -> Self {
        let mut sorted: Vec<(String, usize)> = routes.into_iter().collect();
        sorted.sort();
        let mut entries: Vec<Entry> = Vec::new();
        for (prefix, route) in sorted {
            if let Some(last) = entries.last_mut()
                && last.prefix == prefix
            {
                last.routes.push(route);
                continue;
            }
            let mut parent = entries.len().checked_sub(1);
            while let Some(at) = parent
                && !prefix.starts_with(&entries[at].prefix)
            {
                parent = entries[at].parent;
            }
            entries.push(Entry {
                prefix,
                routes: vec![route],
                parent,
            });
        }
        Self { entries }
    }

    /// The lowest position whose prefix starts `path` and which `accepts`; the latter also gets the prefix.
    pub(super) fn first(
        &self,
        path: &str,
        mut accepts: impl FnMut(usize, &str) -> bool,
    ) -> Option<usize> {
        let mut at = self
            .entries
            .partition_point(|entry| entry.prefix.as_str() <= path)
            .checked_sub(1);
        let mut best = None;
        while let Some(index) = at {
            let entry = &self.entries[index];
            if path.starts_with(&entry.prefix) {
                let first = entry
                    .routes
                    .iter()
                    .copied()
                    .take_while(|&route| best.is_none_or(|best| route < best))
                    .find(|&route| accepts(route, &entry.prefix));
                best = first.or(best);
            }
            at = entry.parent;
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_index_finds_what_a_plain_search_finds(
            prefixes in prop::collection::vec("/[ab/]{0,5}", 0..40),
            path in "/[ab/]{0,8}",
        ) {
            let index = PrefixIndex::new(prefixes.iter().cloned().zip(0..));
            let plain = prefixes.iter().position(|prefix| path.starts_with(prefix.as_str()));
            prop_assert_eq!(index.first(&path, |_, _| true), plain);
            let odd = prefixes.iter().enumerate()
                .position(|(at, prefix)| at % 2 == 1 && path.starts_with(prefix.as_str()));
            prop_assert_eq!(index.first(&path, |at, _| at % 2 == 1), odd);
        }
    }
}
