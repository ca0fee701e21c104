//! What bots and amoCRM call.

use super::amo::{is_about_token, token_remedy, unreachable_remedy};
use super::{Need, Subject};
use crate::app::wire;
use crate::config::{Bridge, Config};
use crate::core::fault::{Fault, FaultKind};
use crate::core::hint::Standing;
use crate::ports::remote::Priority;
use crate::ports::watch::AmoWatch;

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
pub(super) async fn amo_subscription(config: &Config, bridge: &Bridge, amo: Option<&impl AmoWatch>) -> Need {
    let subject = Subject::AMO_WEBHOOK;
    if bridge.amo.webhook_secret.is_none() {
        return Need::not_tried(subject, "off: polling finds every change (amo.webhook_secret turns it on)");
    }
    let Some(destination) = wire::destination(bridge, config.http.public_url.as_deref()) else {
        let found = "amoCRM cannot be told where to post: http.public_url is not set";
        return Need::warning(subject, found, "set http.public_url to the address under which the world reaches us");
    };
    let Some(amo) = amo else { return Need::not_tried(subject, "amoCRM is not asked") };
    match amo.subscriptions(Priority::Person).await {
        Err(fault) => Need::warning(subject, format!("amoCRM does not tell: {}", fault.reason), remedy(bridge, &fault)),
        Ok(all) => {
            let standing = Standing::of(&destination, all);
            match standing.complaint(&bridge.name) {
                None => Need::fine(subject, format!("subscribed: {}", destination.masked())),
                Some(complaint) => {
                    let install = format!("salebridge hooks install --bridge {}", bridge.name);
                    Need::warning(subject, complaint, install)
                }
            }
        }
    }
}

/// What to do where amoCRM does not tell its subscriptions: only a refusal of the question is about rights and plan.
fn remedy(bridge: &Bridge, fault: &Fault) -> String {
    match fault.kind {
        FaultKind::Rejected => NEEDS.to_owned(),
        _ if is_about_token(fault) => token_remedy(bridge, fault),
        _ => unreachable_remedy(fault).to_owned(),
    }
}

const NEEDS: &str = "webhooks are managed by administrators only and need the plan \"Advanced\" or a higher one; \
                     without them polling finds every change all the same";
