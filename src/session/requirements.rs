//! Which requirements of routes the claims of a session meet.

use std::sync::Arc;

use crate::model::{ClaimRequirement, Claims};

/// The outcomes for each distinct `required_claims` of any route, judged once at the set-up.
///
/// They are found by the requirement itself: right after a reload a request may hold the routes of one configuration and
/// a session of the other.
#[derive(Debug, Default)]
pub struct Requirements(Option<Box<Judged>>);

#[derive(Debug)]
struct Judged {
    all: Arc<[Vec<ClaimRequirement>]>,
    met: Box<[bool]>,
}

impl Requirements {
    /// Judges the claims by all of them.
    #[must_use]
    pub(super) fn judge(all: &Arc<[Vec<ClaimRequirement>]>, claims: &Claims) -> Self {
        if all.is_empty() {
            return Self::default();
        }
        let meets = |each: &Vec<ClaimRequirement>| each.iter().all(|one| one.holds(claims));
        Self(Some(Box::new(Judged {
            met: all.iter().map(meets).collect(),
            all: Arc::clone(all),
        })))
    }

    /// Whether a route's requirements are met; those that were not judged are not.
    #[must_use]
    pub fn meet(&self, required: &[ClaimRequirement]) -> bool {
        required.is_empty()
            || self.0.as_ref().is_some_and(|judged| {
                let known = judged.all.iter().zip(&judged.met);
                known.into_iter().any(|(one, met)| one == required && *met)
            })
    }

    pub(super) fn weight(&self) -> usize {
        self.0
            .as_ref()
            .map_or(0, |judged| size_of::<Judged>() + judged.met.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn required(value: &str) -> Vec<ClaimRequirement> {
        vec![ClaimRequirement {
            claim: "acr".into(),
            value: value.to_owned(),
        }]
    }

    #[test]
    fn a_requirement_counts_as_met_only_if_it_was_judged_and_holds() {
        let claims = Claims(json!({"acr": "high"}).as_object().unwrap().clone());
        let all: Arc<[_]> = [required("low"), required("high")].into();
        let judged = Requirements::judge(&all, &claims);
        assert!(judged.meet(&[]));
        assert!(judged.meet(&required("high")));
        assert!(!judged.meet(&required("low")));
        assert!(!judged.meet(&required("of a newer configuration")));
        assert!(!Requirements::default().meet(&required("high")));
    }
}
