//! What a person is told when groups teach nothing, and what to do about it.

/// Mean reward from which a task without a signal counts as solved, not as hopeless.
const SOLVED_REWARD_MICRO: i64 = 980_000;

/// Whether groups without a signal have nothing left to teach.
pub(super) fn is_solved(reward_micro: i64) -> bool {
    reward_micro >= SOLVED_REWARD_MICRO
}

/// The run has ended for want of a signal.
pub(super) fn nothing_to_learn(groups: u32, reward_micro: i64) -> String {
    format!("nothing to learn: {}. {}", in_vain(groups, reward_micro), ADVICE)
}

/// The run will end if this goes on.
pub(super) fn warning(groups: u32, limit: u32, reward_micro: i64) -> String {
    let end = format!("{}; the run ends at {limit}", in_vain(groups, reward_micro));
    if is_solved(reward_micro) { format!("{end}: the task is nearly solved") } else { format!("{end}. {ADVICE}") }
}

/// Few groups have a signal.
pub(super) fn seldom(useful: u32, groups: u32) -> String {
    format!(
        "only {useful} of the latest {groups} groups have rewards that differ; the others are paid for and teach nothing. {ADVICE}"
    )
}

fn in_vain(groups: u32, reward_micro: i64) -> String {
    let reward = reward_micro as f64 / 1e6;
    let what = match reward_micro {
        0 => "no answer earned anything".to_owned(),
        solved if is_solved(solved) => format!("nearly every answer earned the whole reward (mean {reward:.2})"),
        _ => format!("all answers to a prompt earned the same (mean {reward:.2})"),
    };
    format!("{groups} groups in a row had no signal: {what}")
}

/// What makes rewards differ.
const ADVICE: &str = "What helps: a supervised warm-up ([sft] steps), an easier level of the task, a reward for parts of an \
answer, more samples per prompt (rollout.group_size), a higher rollout.temperature, another [gate]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_always_and_equal_are_told_apart() {
        assert!(
            nothing_to_learn(64, 0)
                .starts_with("nothing to learn: 64 groups in a row had no signal: no answer earned anything.")
        );
        assert!(warning(32, 64, 1_000_000).ends_with("(mean 1.00); the run ends at 64: the task is nearly solved"));
        assert!(warning(32, 64, 333_333).contains("earned the same (mean 0.33); the run ends at 64. What helps: "));
        assert!(seldom(4, 64).starts_with("only 4 of the latest 64 groups"));
    }
}
