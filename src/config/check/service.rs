//! Checks the two services of a bridge: addresses, keys, rates and schedules.

use super::Checker;
use crate::config::raw;
use crate::config::report::{At, Place};
use crate::config::settings::{Amo, AmoAuth, OAuth, Recheck, Salebot};
use crate::core::policy::ClientChannel;

/// Salebot names no limit; more than this is not reached through one connection pool.
const SALEBOT_RATE_MAX: f64 = 100_000.0;

/// The slowest rate that still makes progress: a request in a hundred seconds.
const SALEBOT_RATE_MIN: f64 = 0.01;

impl Checker<'_> {
    pub(super) fn amo(&mut self, raw: &At<raw::Amo>) -> Option<Amo> {
        let place = &raw.place;
        let raw = &raw.value;
        let url = raw.url.as_ref().and_then(|url| self.base_address(url));
        let auth = self.amo_auth(raw, place);
        let rate = raw
            .requests_per_second
            .as_ref()
            .and_then(|rate| self.number(rate, 1.0..=7.0, ": amoCRM's limit is 7 requests a second"));
        let poll_contacts = raw.poll_contacts.as_ref().and_then(|line| self.schedule(line));
        let poll_leads = raw.poll_leads.as_ref().and_then(|line| self.schedule(line));
        let sweep = raw.sweep.as_ref().and_then(|line| self.schedule(line));
        let overlap = raw.overlap.as_ref().and_then(|overlap| self.duration(overlap, "1s", "24h"));
        let recheck = raw.recheck.as_ref().and_then(|recheck| self.recheck(&recheck.value));
        let webhook_secret = self.optional(raw.webhook_secret.as_ref(), Self::webhook_secret);
        Some(Amo {
            url: url?,
            api: raw.api.as_ref()?.value,
            auth: auth?,
            requests_per_second: rate?,
            poll_contacts: poll_contacts?,
            poll_leads: poll_leads?,
            sweep: sweep?,
            overlap: overlap?,
            recheck: recheck?,
            webhook_secret: webhook_secret?,
        })
    }

    /// Exactly one of a token and an integration.
    fn amo_auth(&mut self, raw: &raw::Amo, place: &Place) -> Option<AmoAuth> {
        let token = raw.token.as_ref();
        let auth = match (token, raw.oauth.as_ref()) {
            (Some(token), None) => self.visible_secret(token, "").map(AmoAuth::Token),
            (_, Some(oauth)) => self.oauth(&oauth.value).map(AmoAuth::OAuth),
            // A token or table that could not be read is reported already.
            (None, None) if self.is_auth_faulty(place) => None,
            (None, None) => {
                let place = Place { path: format!("{}.token", place.path), span: place.span.clone() };
                let help = "add token = { file = \"/run/credentials/salebridge.service/amo-token\" }, or an [bridge.amo.oauth] table";
                self.report.missing(&place, "token", "is required and missing", help);
                None
            }
        };
        if let (Some(token), Some(oauth)) = (token, raw.oauth.as_ref()) {
            let message = format!("stands beside {}: only one of them can authorise requests", token.place.path);
            self.report.fault_with_help(&oauth.place, message, "keep `token` or the `oauth` table");
            return None;
        }
        auth
    }

    fn is_auth_faulty(&self, place: &Place) -> bool {
        ["token", "oauth"].iter().any(|key| self.report.is_faulty(&format!("{}.{key}", place.path)))
    }

    fn oauth(&mut self, raw: &raw::Oauth) -> Option<OAuth> {
        let client_id = raw.client_id.as_ref().and_then(|id| {
            let fits = !id.value.is_empty() && id.value.chars().all(|c| c.is_ascii_graphic());
            if !fits {
                self.report.fault(&id.place, "must be the integration's id, without spaces");
            }
            fits.then(|| id.value.clone())
        });
        let client_secret = raw.client_secret.as_ref().and_then(|secret| self.visible_secret(secret, ""));
        let redirect_uri = raw.redirect_uri.as_ref().and_then(|uri| self.redirect_address(uri));
        Some(OAuth { client_id: client_id?, client_secret: client_secret?, redirect_uri: redirect_uri? })
    }

    fn recheck(&mut self, raw: &raw::Recheck) -> Option<Recheck> {
        let every = raw.every.as_ref().and_then(|every| self.duration(every, "1s", "24h"));
        let window = raw.window.as_ref().and_then(|window| self.duration(window, "1s", "168h"));
        let recheck = Recheck { every: every?, window: window? };
        if recheck.window < recheck.every {
            let place = &raw.window.as_ref()?.place;
            self.report.fault_with_help(
                place,
                "is shorter than `every`: what changed in between would not be read again",
                "make `window` as long as `every` or longer",
            );
            return None;
        }
        Some(recheck)
    }

    pub(super) fn salebot(&mut self, raw: &raw::Salebot) -> Option<Salebot> {
        let rates = SALEBOT_RATE_MIN..=SALEBOT_RATE_MAX;
        let url = raw.url.as_ref().and_then(|url| self.base_address(url));
        // The key is a part of the path of every request (Salebot API page).
        let api_key = raw.api_key.as_ref().and_then(|key| self.visible_secret(key, "/?#%\\"));
        let webhook_secret = raw.webhook_secret.as_ref().and_then(|secret| self.webhook_secret(secret));
        let functions_token =
            self.optional(raw.functions_token.as_ref(), |checker, token| checker.webhook_secret(token));
        let requests = raw.requests_per_second.as_ref().and_then(|rate| self.number(rate, rates.clone(), ""));
        let saves = raw.save_variables_per_second.as_ref().and_then(|rate| self.number(rate, rates, ""));
        let budget = raw.daily_budget.as_ref().and_then(|budget| self.whole(budget, 0..=1_000_000_000));
        let reconcile = raw.reconcile.as_ref().and_then(|line| self.schedule(line));
        Some(Salebot {
            url: url?,
            api_key: api_key?,
            webhook_secret: webhook_secret?,
            functions_token: functions_token?,
            requests_per_second: requests?,
            save_variables_per_second: saves?,
            daily_budget: Some(budget?).filter(|budget| *budget > 0),
            reconcile: reconcile?,
        })
    }

    /// The channel for new clients.
    pub(super) fn create_with(&mut self, raw: &raw::CreateWith) -> Option<ClientChannel> {
        let group_id = raw.group_id.as_ref().and_then(|group| {
            let fits = !group.value.is_empty() && !group.value.contains(char::is_whitespace);
            if !fits {
                self.report.fault(&group.place, "must be a channel's `group_id` from `connected_channels`, no spaces");
            }
            fits.then(|| group.value.clone())
        });
        let client_type = raw.client_type.as_ref().and_then(|kind| self.whole(kind, 0..=1000));
        Some(ClientChannel { group_id: group_id?, client_type: i64::try_from(client_type?).ok()? })
    }
}
