//! Tells Salebot's own notices from what people write: both come as messages.

use crate::core::model::Notice;

/// What a message's text turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Somebody or a bot wrote it.
    Message,
    /// Salebot's own notice.
    Notice(Notice),
    /// A callback of ours coming back, or on the list of texts to be ignored.
    Ignored,
}

/// What our own callbacks begin with unless configured otherwise (`amo_state_changed …`).
const OWN_PREFIX: &str = "amo_";

/// Reads texts by Salebot's known notices and a list of texts to be ignored besides.
///
/// A text is a notice only if the whole of it has the known machine form: a person may write about
/// `new_chat_member` as about anything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notices {
    ignored: Vec<String>,
}

impl Notices {
    /// `ignored`: texts that are no messages either; one that ends in `*` stands for every text
    /// that begins like it. The fixed heads of configured callbacks belong here.
    pub fn new(ignored: Vec<String>) -> Notices {
        Notices {
            ignored: ignored.into_iter().filter(|pattern| !pattern.trim_end_matches('*').trim().is_empty()).collect(),
        }
    }

    /// What this text is.
    pub fn read(&self, text: &str) -> Reading {
        let text = text.trim();
        if self.ignored.iter().any(|pattern| matches(pattern, text)) || is_own(text) {
            return Reading::Ignored;
        }
        match () {
            () if is_order_notice(text) => Reading::Notice(Notice::Order),
            () if is_other_notice(text) => Reading::Notice(Notice::Other),
            () => Reading::Message,
        }
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(head) => text.starts_with(head),
        None => text == pattern.trim(),
    }
}

/// `amo_state_changed 61:1001`: lower-case words joined by underscores, then anything.
fn is_own(text: &str) -> bool {
    let name = first_word(text);
    name.strip_prefix(OWN_PREFIX).is_some_and(is_machine_name) && !text.contains('\n')
}

/// Notices of SalebotCRM about an order (Salebot's page on deals, project settings, Callbacks).
fn is_order_notice(text: &str) -> bool {
    let rest = text.get(first_word(text).len()..).unwrap_or_default();
    match first_word(text) {
        // `<funnel>:<stage>`, both free names.
        "crm_state_changed" => rest.is_empty() || rest.contains(':'),
        "crm_system_state_changed" | "crm_lead_removed" | "change_responsible_order" => !text.contains('\n'),
        _ => false,
    }
}

/// Every other known notice: chat members, tasks, merged cards, payments, calls.
fn is_other_notice(text: &str) -> bool {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    let is_task = name.ends_with("new_task_added_callback") || name.ends_with("edit_task_callback");
    match name {
        "new_chat_member" | "left_chat_member" | "call_started" | "call_ended" => rest.is_empty(),
        _ if is_task => rest.starts_with("task_id:"),
        _ if rest.is_empty() => name.strip_prefix("switch_to_").is_some_and(is_machine_name),
        _ => name.strip_suffix("_success").is_some_and(is_machine_name) && is_amount(rest),
    }
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

fn is_machine_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// `1500`, `1500.00`, `1500,5`
fn is_amount(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("new_chat_member", Reading::Notice(Notice::Other))]
    #[case(" left_chat_member ", Reading::Notice(Notice::Other))]
    #[case("crm_state_changed Продажи: опт:Новая заявка", Reading::Notice(Notice::Order))]
    #[case("crm_state_changed", Reading::Notice(Notice::Order))]
    #[case("crm_system_state_changed success", Reading::Notice(Notice::Order))]
    #[case("crm_lead_removed", Reading::Notice(Notice::Order))]
    #[case("change_responsible_order 7", Reading::Notice(Notice::Order))]
    #[case("new_task_added_callback task_id:5, task_name:Позвонить", Reading::Notice(Notice::Other))]
    #[case("user_edit_task_callback task_id:5", Reading::Notice(Notice::Other))]
    #[case("switch_to_whatsapp", Reading::Notice(Notice::Other))]
    #[case("prodamus_success 1500.00", Reading::Notice(Notice::Other))]
    #[case("call_started", Reading::Notice(Notice::Other))]
    #[case("call_ended", Reading::Notice(Notice::Other))]
    #[case("amo_state_changed 61:1001", Reading::Ignored)]
    #[case("amo_deleted", Reading::Ignored)]
    #[case("bridge-said hello", Reading::Ignored)]
    #[case("exactly this", Reading::Ignored)]
    #[case("exactly this and more", Reading::Message)]
    #[case("new_chat_member is what I saw", Reading::Message)]
    #[case("crm_state_changed what does it mean?", Reading::Message)]
    #[case("crm_state_changed_again a:b", Reading::Message)]
    #[case("crm_lead_removed\nwhy?", Reading::Message)]
    #[case("switch_to_whatsapp please", Reading::Message)]
    #[case("big_success today", Reading::Message)]
    #[case("_success 5", Reading::Message)]
    #[case("call_started again", Reading::Message)]
    #[case("edit_task_callback", Reading::Message)]
    #[case("amo_ forgot the rest", Reading::Message)]
    #[case("amo_лид пропал", Reading::Message)]
    #[case("Здравствуйте", Reading::Message)]
    #[case("", Reading::Message)]
    fn notices_and_messages(#[case] text: &str, #[case] expected: Reading) {
        let notices = Notices::new(vec!["bridge-said*".to_owned(), "exactly this".to_owned(), "*".to_owned()]);
        assert_eq!(notices.read(text), expected);
    }
}
