//! What an account has against what a plan needs, in one line.

use super::text;
use crate::{
    diagnostic::{Code, Diagnostic},
    plan::estimate::Credits,
};

/// Returns a warning where an account has fewer credits than the jobs of a plan cost there, as far as that is known.
#[must_use]
pub fn too_few_credits(alias: &str, left: f64, needed: Credits) -> Option<Diagnostic> {
    if left >= needed.known {
        return None;
    }
    let about = if needed.unknown_jobs == 0 { "about" } else { "at least" };
    let (left, needed) = (text::number(left), text::number(needed.known));
    let message = format!("`{alias}` has {left} credits left, and the jobs of this run cost {about} {needed} there");
    let help = "top the account up: a job that it cannot pay is refused; `dagwood account` shows what is left";
    Some(Diagnostic::warning(Code::FewCredits, message).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_account_with_less_than_is_known_to_be_needed_is_told() {
        let told = |left, known, unknown_jobs| {
            too_few_credits("armox", left, Credits { known, unknown_jobs }).map(|diagnostic| diagnostic.message)
        };
        assert_eq!(told(480.0, 480.0, 0), None);
        assert_eq!(told(0.0, 0.0, 3), None);
        assert_eq!(
            told(1120.5, 4800.0, 0).as_deref(),
            Some("`armox` has 1,120.5 credits left, and the jobs of this run cost about 4,800 there")
        );
        assert_eq!(
            told(0.0, 70.0, 1).as_deref(),
            Some("`armox` has 0 credits left, and the jobs of this run cost at least 70 there")
        );
    }
}
