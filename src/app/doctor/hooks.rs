//! What bots and amoCRM call.

use super::{Need, Subject};
use crate::config::{Bridge, Config};

/// Whether bots can call functions, and where.
pub(super) fn functions(config: &Config, bridge: &Bridge) -> Need {
    if bridge.salebot.functions_token.is_none() {
        let found = "off: bots cannot call amoCRM functions (salebot.functions_token turns them on)";
        return Need::not_tried(Subject::FUNCTIONS, found);
    }
    let base = config.http.public_url.clone().unwrap_or_else(|| format!("http://{}", config.http.listen));
    Need::fine(Subject::FUNCTIONS, format!("on, at {base}/functions/{}/…", bridge.name))
}

/// Whether amoCRM tells us of changes at once: its subscription is held against our address here.
pub(super) fn amo_subscription(bridge: &Bridge) -> Need {
    let found = match bridge.amo.webhook_secret {
        None => "off: polling finds every change (amo.webhook_secret turns it on)",
        Some(_) => "the subscription is not looked at",
    };
    Need::not_tried(Subject::AMO_WEBHOOK, found)
}
