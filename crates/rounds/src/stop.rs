//! When a held-out score ends a run.
//!
//! Promise: only scores of held-out items decide, in the order in which they come in.

use serde::{Deserialize, Serialize};

use crate::{FinishCause, StopRules};

/// The scores so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scores {
    best_micro: Option<i64>,
    /// Scores in a row that were not above the best before them.
    since_best: u32,
}

impl StopRules {
    /// Whether any score can end the run.
    pub(crate) fn any(&self) -> bool {
        *self != Self::default()
    }
}

impl Scores {
    /// Takes in a score; gives the cause if it ends the run.
    pub(crate) fn hear(&mut self, score_micro: i64, rules: &StopRules) -> Option<FinishCause> {
        match self.best_micro {
            Some(best) if score_micro <= best => self.since_best = self.since_best.saturating_add(1),
            _ => (self.best_micro, self.since_best) = (Some(score_micro), 0),
        }
        if rules.score_target_micro.is_some_and(|target| score_micro >= target) {
            return Some(FinishCause::ScoreReached { score_micro });
        }
        let plateau = rules.plateau.as_ref()?;
        let stays = self.since_best >= plateau.evals && score_micro >= plateau.score_min_micro;
        stays.then(|| FinishCause::Plateau {
            evals: self.since_best,
            best_micro: self.best_micro.unwrap_or(score_micro),
        })
    }

    /// A run that was extended looks for a new best.
    pub(crate) fn begin_again(&mut self) {
        self.since_best = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plateau;

    #[test]
    fn a_score_that_stays_at_its_best_ends_the_run_once_it_is_high_enough() {
        let rules = StopRules { score_target_micro: None, plateau: Some(Plateau { evals: 2, score_min_micro: 900 }) };
        let mut scores = Scores::default();
        let heard: Vec<_> = [500, 500, 400, 950, 940, 890, 940].map(|score| scores.hear(score, &rules)).to_vec();
        // 500, 400: too low to stop at. 950 is a new best; 940 the first, 890 the second that is not above it,
        // but too low; 940 is the third.
        let end = Some(FinishCause::Plateau { evals: 3, best_micro: 950 });
        assert_eq!(heard, [None, None, None, None, None, None, end]);
    }

    #[test]
    fn the_target_is_held_against_the_newest_score() {
        let rules = StopRules { score_target_micro: Some(800), plateau: None };
        let mut scores = Scores::default();
        assert_eq!(scores.hear(799, &rules), None);
        assert_eq!(scores.hear(800, &rules), Some(FinishCause::ScoreReached { score_micro: 800 }));
    }
}
