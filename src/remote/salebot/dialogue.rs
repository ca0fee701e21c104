//! Clients and what was said to them and by them.

use super::envelope::{Content, Form};
use super::fault::Refusal;
use super::{SalebotApi, pair};
use crate::core::fault::Fault;
use crate::core::flex::{Flex, Notices, Object, Reading, attachments};
use crate::core::id::{ClientId, MessageId};
use crate::core::model::{Attachment, Client, ClientRow, Message};
use crate::ports::remote::{BrokenRow, HistoryLine, Page, Priority, SALEBOT_HISTORY_MAX, SALEBOT_PAGE_MAX};
use serde_json::json;

/// `message_from_outside` of an external CRM, a callback and a telephony notice (Salebot's page on
/// variables): no person wrote these, whatever `client_replica` says.
const OUTSIDE_NOTICES: [i64; 3] = [2, 3, 5];

impl SalebotApi {
    pub(super) async fn list_clients(
        &self,
        offset: u32,
        limit: u32,
        oldest_first: bool,
        priority: Priority,
    ) -> Result<Page<ClientRow>, Fault> {
        let mut query = vec![pair("offset", offset), pair("limit", limit.min(SALEBOT_PAGE_MAX))];
        if oldest_first {
            query.push(pair("reverse", 1));
        }
        let reply = self.get_list("get_clients", query, priority).await?;
        let text = reply.text();
        let object = reply.object(&text, Form::Envelope)?;
        // A page without its list is no empty page: it would end a scan that has only begun.
        let rows = object.get("clients").and_then(Flex::list).ok_or_else(|| reply.incomplete("it lists no clients"))?;
        Ok(page(&rows, &reply.answer))
    }

    /// Sorted by id: the order of the answer is not documented. Lines that cannot be read are left out.
    pub(super) async fn read_history(&self, client: ClientId, priority: Priority) -> Result<Vec<HistoryLine>, Fault> {
        let query = vec![pair("client_id", client), pair("limit", SALEBOT_HISTORY_MAX)];
        let reply = self.get_list("get_history", query, priority).await?;
        let text = reply.text();
        let rows = match reply.open(&text, Form::Envelope).map_err(|refusal| reply.fault(&refusal))? {
            Content::Object(object) => object.get("result").and_then(Flex::list),
            Content::List(rows) => Some(rows),
            Content::Done | Content::Words => None,
        };
        let rows = rows.ok_or_else(|| reply.incomplete("it lists no messages"))?;
        let mut lines: Vec<_> = rows.into_iter().filter_map(|row| line(client, row, &self.notices)).collect();
        lines.sort_by_key(|line| (line.message.id, line.at.map(|moment| moment.at)));
        Ok(lines)
    }

    /// The answer to a callback is not documented: any text that does not say no counts as done.
    pub(super) async fn start_bot(&self, client: ClientId, text: &str, priority: Priority) -> Result<(), Fault> {
        let body = json!({ "client_id": client, "message": text });
        let reply = self.post("callback", &body, priority, false).await?;
        let answer = reply.text();
        match reply.open(&answer, Form::Envelope) {
            Ok(Content::Object(_) | Content::Done | Content::Words) => Ok(()),
            Ok(Content::List(_)) => Err(reply.fault(&Refusal::unreadable(&reply.answer, "a list"))),
            Err(refusal) => Err(reply.fault(&refusal)),
        }
    }
}

fn page(rows: &[Flex<'_>], answer: &crate::remote::http::RawAnswer) -> Page<ClientRow> {
    let received = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let mut page =
        Page { rows: Vec::with_capacity(rows.len()), broken: Vec::new(), received, server_time: answer.date() };
    for (place, row) in rows.iter().enumerate() {
        let object = row.object();
        match object.as_ref().and_then(|object| Some((object.client()?, object))) {
            Some((client, object)) => {
                let updated_at = object.get("updated_at").and_then(Flex::moment);
                page.rows.push(ClientRow { client, updated_at });
            }
            None => page.broken.push(BrokenRow { id: None, reason: format!("clients[{place}] has no readable id") }),
        }
    }
    page
}

fn line(client: ClientId, row: Flex<'_>, notices: &Notices) -> Option<HistoryLine> {
    let object = row.object()?;
    let text = object.get("text").or_else(|| object.get("message")).and_then(Flex::scalar);
    let text = text.filter(|text| !text.is_empty()).map(|text| text.into_owned());
    let outside = object.get("message_from_outside").and_then(Flex::integer).unwrap_or_default();
    let is_machine_text = text.as_deref().is_some_and(|text| notices.read(text) != Reading::Message);
    let is_notice = OUTSIDE_NOTICES.contains(&outside) || is_machine_text;
    let from_client = object.get("client_replica").and_then(Flex::truth);
    let block = object.id("message_id");
    let message = Message {
        id: object.id("id").map(MessageId),
        client: Client::unknown(client),
        text,
        attachments: files(&object),
        // Without the flag, what no bot's block wrote is kept as the person's: theirs must not be lost.
        incoming: !is_notice && from_client.unwrap_or(block.is_none()),
        block,
        variables: None,
        written_at: None,
    };
    Some(HistoryLine { message, at: object.get("created_at").and_then(Flex::moment), is_notice })
}

/// `attachments`, or the lone address that some answers carry beside it.
fn files(object: &Object<'_>) -> Vec<Attachment> {
    let listed = object.get("attachments").map(attachments).unwrap_or_default();
    if !listed.is_empty() {
        return listed;
    }
    let url = object.present("attachment_url");
    url.map(|url| Attachment { url, kind: object.present("attachment_type") }).into_iter().collect()
}
