//! The policy resolved against the account: made once, used for every record.

use super::{ResolvedRule, identifiers};
use crate::core::action::Edit;
use crate::core::fingerprint;
use crate::core::model::{Account, Client, Contact, FieldKind, Lead, Variables, messenger_name};
use crate::core::people::{MatchKey, email_key, phone_key};
use crate::core::policy::{Direction, MatchBy, Policy};
use crate::core::selector::{AmoPart, Entity, Fact, SalebotField};
use crate::core::shape::{self, Record};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

/// The name under which the account's metadata is kept in the store: an [`Account`].
pub const KEPT_ACCOUNT: &str = "account";

/// Everything a plan stands on besides the records themselves.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The bridge's policy.
    pub policy: Policy,
    /// The account's metadata.
    pub account: Account,
    /// The account's time zone; UTC where its name is unknown.
    pub zone: TimeZone,
    /// Pairs of contact and client.
    pub contact_rules: Vec<ResolvedRule>,
    /// Pairs of lead and order, or lead and client.
    pub lead_rules: Vec<ResolvedRule>,
    /// Pairs the account has no field for, in words.
    pub missing: Vec<String>,
}

impl Ground {
    /// Resolves a policy. Pairs without a field are left out and named in `missing`.
    pub fn new(policy: Policy, account: Account) -> Ground {
        let zone = TimeZone::get(&account.time_zone).unwrap_or(TimeZone::UTC);
        let mut ground =
            Ground { policy, account, zone, contact_rules: Vec::new(), lead_rules: Vec::new(), missing: Vec::new() };
        for rule in identifiers().into_iter().chain(ground.policy.rules.clone()) {
            match shape::resolve(&rule.amo, &ground.account) {
                Ok(slot) => {
                    let entity = rule.amo.entity;
                    let label = format!("{} {:?} {:?}", rule.key(), rule.direction, rule.owner);
                    let resolved = ResolvedRule { key: rule.key(), label, slot, rule };
                    match entity {
                        Entity::Contact => ground.contact_rules.push(resolved),
                        Entity::Lead => ground.lead_rules.push(resolved),
                    }
                }
                Err(reason) => ground.missing.push(reason),
            }
        }
        ground
    }

    /// The edit with the kinds of phones and e-mails by name: amoCRM shows them by number, and
    /// documents the name alone for writing.
    pub fn with_named_kinds(&self, mut edit: Edit) -> Edit {
        if let Edit::Field { id, kind: FieldKind::Multitext, elements } = &mut edit {
            let info = self.account.contact_fields.get(id).or_else(|| self.account.lead_fields.get(id));
            for element in elements.iter_mut().filter(|element| element.code.is_none()) {
                let name = element.choice.and_then(|choice| info?.choices.get(&choice));
                element.code = name.cloned();
            }
        }
        edit
    }

    /// The country of phone numbers without a country code.
    pub fn region(&self) -> &str {
        &self.policy.people.default_region
    }

    /// True when planning a person needs the client's variables: some pair lets them speak.
    pub fn reads_client_variables(&self) -> bool {
        let speaks = |rule: &&ResolvedRule| {
            rule.rule.direction.writes_amo() && matches!(rule.rule.salebot, SalebotField::Client(_))
        };
        self.contact_rules.iter().chain(&self.lead_rules).any(|rule| speaks(&rule))
    }

    /// True when planning a deal needs the order's variables.
    pub fn reads_order_variables(&self) -> bool {
        self.lead_rules
            .iter()
            .any(|rule| rule.rule.direction.writes_amo() && matches!(rule.rule.salebot, SalebotField::Order(_)))
    }

    /// Names of the order variables that are mapped, whichever way: what is asked for of an order.
    pub fn order_variables(&self) -> BTreeSet<String> {
        let name = |rule: &ResolvedRule| match &rule.rule.salebot {
            SalebotField::Order(name) => Some(name.clone()),
            SalebotField::Client(_) | SalebotField::Fact(_) => None,
        };
        self.lead_rules.iter().filter_map(name).collect()
    }

    /// True when an order that is moved moves its lead.
    pub fn leads_follow_orders(&self) -> bool {
        let orders = &self.policy.orders;
        orders.enabled && orders.direction == Direction::Both && !orders.stages.is_empty()
    }

    /// True when a client or its orders can change a lead: some pair of leads lets them speak.
    pub fn leads_listen(&self) -> bool {
        self.leads_follow_orders()
            || self.lead_rules.iter().any(|rule| {
                let speaks = matches!(rule.rule.salebot, SalebotField::Client(_) | SalebotField::Order(_));
                speaks && rule.rule.direction.writes_amo()
            })
    }

    /// What a contact means to us. Equal: nothing to do.
    pub fn contact_fingerprint(&self, contact: &Contact) -> String {
        self.keyed_fingerprint(contact, &self.contact_keys(contact))
    }

    /// The same where its [`Ground::contact_keys`] are known: reading a phone number costs more than all the rest.
    pub fn keyed_fingerprint(&self, contact: &Contact, keys: &BTreeSet<MatchKey>) -> String {
        let values = self.values(&self.contact_rules, Record::Contact(contact));
        fingerprint::of(&(values, &contact.leads, keys))
    }

    /// What a lead means to us. Equal: nothing to do.
    pub fn lead_fingerprint(&self, lead: &Lead) -> String {
        let values = self.values(&self.lead_rules, Record::Lead(lead));
        let rest =
            (lead.person(), lead.pipeline, lead.status, lead.is_deleted, lead.responsible, &lead.name, lead.price);
        fingerprint::of(&(
            values,
            rest,
            &self.policy.orders.stages.iter().map(|row| (row.pipeline, row.status, row.state)).collect::<Vec<_>>(),
        ))
    }

    fn values<'g>(&self, rules: &'g [ResolvedRule], record: Record<'_>) -> Vec<(&'g str, Vec<String>)> {
        rules.iter().map(|rule| (rule.label.as_str(), shape::read(&rule.slot, record, &self.zone))).collect()
    }

    /// Phone numbers and e-mail addresses of a contact, as far as the policy matches by them.
    pub fn contact_keys(&self, contact: &Contact) -> BTreeSet<MatchKey> {
        let of = |code: &str| {
            shape::system_field(&self.account, code).ok().and_then(|id| contact.fields.get(&id)).into_iter().flatten()
        };
        let phones = of("PHONE").filter_map(|element| phone_key(&element.value, self.region()));
        let emails = of("EMAIL").filter_map(|element| email_key(&element.value));
        phones.chain(emails).filter(|key| self.policy.people.match_by.contains(&key.by())).collect()
    }

    /// Phone numbers and e-mail addresses a client is known by, most telling first: the mapped
    /// variables, Salebot's own, and the messenger's id where that is a phone number.
    pub fn client_keys(&self, client: &Client, variables: &Variables) -> Vec<MatchKey> {
        let mut keys = Vec::new();
        for by in &self.policy.people.match_by {
            let names = self.variable_names(*by);
            let texts = names.iter().filter_map(|name| variables.get(name)).map(String::as_str);
            let own = client
                .platform_id
                .as_deref()
                .filter(|_| *by == MatchBy::Phone && matches!(client.messenger, Some(6 | 13)));
            let mail = client.platform_id.as_deref().filter(|_| *by == MatchBy::Email && client.messenger == Some(14));
            for text in texts.chain(own).chain(mail) {
                let key = match by {
                    MatchBy::Phone => phone_key(text, self.region()),
                    MatchBy::Email => email_key(text),
                };
                keys.extend(key.filter(|key| !keys.contains(key)));
            }
        }
        keys
    }

    /// Names of the client variables that hold the phone number or the e-mail address.
    pub fn variable_names(&self, by: MatchBy) -> Vec<String> {
        let (part, own) = match by {
            MatchBy::Phone => (AmoPart::Phone, "phone"),
            MatchBy::Email => (AmoPart::Email, "email"),
        };
        let mapped = self.contact_rules.iter().filter(|rule| rule.rule.amo.part == part);
        let mut names: Vec<String> = mapped
            .filter_map(|rule| match &rule.rule.salebot {
                SalebotField::Client(name) => Some(name.clone()),
                SalebotField::Order(_) | SalebotField::Fact(_) => None,
            })
            .collect();
        if !names.iter().any(|name| name == own) {
            names.push(own.to_owned());
        }
        names
    }
}

/// A fact of a client as text; none where it is not known.
pub fn client_fact(client: &Client, fact: Fact, zone: &TimeZone) -> Option<String> {
    match fact {
        Fact::ClientId => Some(client.id.to_string()),
        Fact::PlatformId => client.platform_id.clone(),
        Fact::Messenger => client.messenger.map(messenger_name),
        Fact::Bot => client.group.clone(),
        Fact::Tag => client.tag.clone(),
        Fact::CreatedAt => {
            let moment = jiff::Timestamp::from_second(client.created_at?).ok()?.to_zoned(zone.clone());
            Some(moment.strftime("%Y-%m-%d %H:%M:%S").to_string())
        }
        Fact::OrderId => None,
    }
}
