//! What an account offers: fields, users, pipelines (v2 account page).

use super::wire::{AccountRow, FieldInfoRow, PipelineRow};
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::{EnumId, FieldId, PipelineId, StatusId, UserId};
use crate::core::model::{Account, FieldInfo, FieldKind, Pipeline};
use crate::remote::amocrm::loose::decode;
use crate::remote::amocrm::values::named;
use std::collections::BTreeMap;

/// Kinds that only one system field has, by which it is recognised: the documented answer names
/// the kinds of a phone or e-mail and not the field's code (v2 account page).
const TELLING_KINDS: [(&str, &[&str]); 3] =
    [("PHONE", &["WORKDD", "MOB", "FAX"]), ("EMAIL", &["PRIV"]), ("IM", &["SKYPE", "ICQ", "JABBER", "GTALK", "MSN"])];

/// Reads the account.
pub(super) fn read(body: &[u8]) -> Result<Account, Fault> {
    let row: AccountRow = decode(&String::from_utf8_lossy(body)).map_err(|error| {
        let kind = if error.is_cut { FaultKind::Transient } else { FaultKind::Broken };
        Fault::new(kind, format!("the account cannot be read: {}", error.reason))
    })?;
    let id = row.id.positive().ok_or_else(|| Fault::new(FaultKind::Broken, "the account has no id"))?;
    let parts = row.embedded.0.unwrap_or_default();
    let lists = parts.custom_fields.0.unwrap_or_default();
    Ok(Account {
        id,
        time_zone: row.timezone.or_empty(),
        contact_fields: lists.contacts.0.into_iter().filter_map(field).collect(),
        lead_fields: lists.leads.0.into_iter().filter_map(field).collect(),
        users: named(parts.users.0, UserId),
        pipelines: parts.pipelines.0.into_iter().filter_map(pipeline).collect(),
    })
}

fn field(row: FieldInfoRow) -> Option<(FieldId, FieldInfo)> {
    let id = FieldId(row.id.positive()?);
    let kind = kind(u32::try_from(row.field_type.positive().unwrap_or(0)).unwrap_or(0));
    let choices: BTreeMap<_, _> = row.enums.0.into_iter().map(|(id, text)| (EnumId(id), text)).collect();
    let code = row.code.filled().or_else(|| recognised(kind, &choices));
    Some((id, FieldInfo { name: row.name.or_empty(), kind, code, choices }))
}

/// What a field holds, by amoCRM's number (v2 custom fields page; numbers from 18 on as met by
/// clients). A type we do not know, or whose form on write is not documented, is never written.
fn kind(number: u32) -> FieldKind {
    match number {
        1 | 21 => FieldKind::Text,
        2 | 20 | 23 => FieldKind::Numeric,
        3 => FieldKind::Checkbox,
        4 | 10 => FieldKind::Select,
        5 => FieldKind::Multiselect,
        6 => FieldKind::Date,
        7 => FieldKind::Url,
        8 => FieldKind::Multitext,
        9 => FieldKind::TextArea,
        11 => FieldKind::StreetAddress,
        13 => FieldKind::SmartAddress,
        14 => FieldKind::Birthday,
        19 => FieldKind::DateTime,
        other => FieldKind::Other(other),
    }
}

fn recognised(kind: FieldKind, choices: &BTreeMap<EnumId, String>) -> Option<String> {
    if kind != FieldKind::Multitext {
        return None;
    }
    let tells = |kinds: &[&str]| choices.values().any(|choice| kinds.contains(&choice.as_str()));
    TELLING_KINDS.iter().find(|(_, kinds)| tells(kinds)).map(|(code, _)| (*code).to_owned())
}

fn pipeline(row: PipelineRow) -> Option<(PipelineId, Pipeline)> {
    let id = PipelineId(row.id.positive()?);
    Some((id, Pipeline { name: row.name.or_empty(), statuses: named(row.statuses.0, StatusId) }))
}
