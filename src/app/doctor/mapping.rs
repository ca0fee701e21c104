//! The mapping against the live account: fields, stages, users, values of lists.

use super::{Need, Subject};
use crate::config::Bridge;
use crate::core::model::{Account, Variables};
use crate::core::survey::{self, Finding};

/// Findings of one kind that are shown; a broken mapping of a hundred fields has one cause.
const SHOWN_MAX: usize = 20;

/// Holds the mapping against the account, and values of some clients against its lists.
pub(super) fn examine(bridge: &Bridge, account: Option<&Account>, samples: &[Variables]) -> Vec<Need> {
    let subjects = [Subject::FIELDS, Subject::STAGES, Subject::USERS, Subject::CHOICES];
    let Some(account) = account else {
        return subjects.map(|subject| Need::not_tried(subject, "amoCRM's account must be readable first")).into();
    };
    let policy = &bridge.policy;
    let pairs = policy.rules.len();
    let stages = policy.orders.stages.len();
    let mut values: Vec<Finding> =
        samples.iter().flat_map(|variables| survey::choices(policy, account, variables)).collect();
    values.sort_by(|one, other| one.what.cmp(&other.what));
    values.dedup();
    let stages_words = match (policy.orders.enabled, stages) {
        (false, _) => "orders are off".to_owned(),
        (true, 0) => "empty: leads become orders, and their stages do not travel".to_owned(),
        (true, count) => format!("{count} rows, each with its stage"),
    };
    [
        needs(Subject::FIELDS, survey::fields(policy, account), format!("{pairs} pairs, each with its field")),
        needs(Subject::STAGES, survey::stages(policy, account), stages_words),
        needs(Subject::USERS, survey::users(policy, account), format!("{} can be told by name", account.users.len())),
        match samples.len() {
            0 => vec![Need::not_tried(Subject::CHOICES, "no client's variables were looked at")],
            count => needs(Subject::CHOICES, values, format!("{count} clients looked at, every value is a choice")),
        },
    ]
    .concat()
}

fn needs(subject: Subject, findings: Vec<Finding>, fine: String) -> Vec<Need> {
    if findings.is_empty() {
        return vec![Need::fine(subject, fine)];
    }
    let hidden = findings.len().saturating_sub(SHOWN_MAX);
    let told = |finding: Finding| match finding.is_fault {
        true => Need::failed(subject, finding.what, finding.remedy),
        false => Need::warning(subject, finding.what, finding.remedy),
    };
    let mut needs: Vec<Need> = findings.into_iter().take(SHOWN_MAX).map(told).collect();
    if hidden > 0 {
        needs.push(Need::warning(subject, format!("and {hidden} more"), "mend these first, then look again"));
    }
    needs
}
