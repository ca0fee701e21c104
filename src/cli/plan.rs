//! `salebridge plan`: what would be written now.

use super::Failure;
use super::verify::{EXIT_LATER, shortened};
use crate::app::dead_letters::{Store, bridges};
use crate::app::inspect::{self, Ended, Looked, Reader};
use crate::app::plan::{self, Asked};
use crate::app::wire;
use crate::config::Bridge;
use crate::core::action::{LinkRef, client_key, lead_key};
use crate::core::id::{ClientId, ContactId, LeadId};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Of this bridge alone
    #[arg(long, value_name = "BRIDGE")]
    bridge: Option<String>,
    /// This contact with its clients; without any of these three, everything that is linked
    #[arg(long, value_name = "N", conflicts_with_all = ["client", "lead"])]
    contact: Option<u64>,
    /// This client with its contact
    #[arg(long, value_name = "N", conflicts_with = "lead")]
    client: Option<u64>,
    /// This lead with its order
    #[arg(long, value_name = "N")]
    lead: Option<u64>,
    /// As JSON, one record a line
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn asked(&self) -> Option<Asked> {
        let contact = self.contact.map(|id| Asked::Contact(ContactId(id)));
        let client = self.client.map(|id| Asked::Client(ClientId(id)));
        contact.or(client).or(self.lead.map(|id| Asked::Lead(LeadId(id))))
    }
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let config = super::settings(path)?;
    let chosen = bridges(&config, arguments.bridge.as_deref())?;
    let store = wire::read_store(&config).await?;
    let is_driven = inspect::is_driven(&config).await;
    let (mut is_found, mut is_partial) = (false, false);
    for settings in config.bridges.iter().filter(|bridge| chosen.contains(&bridge.name.as_str())) {
        // One that cannot be asked now hides none of the others.
        match look(settings, &store, is_driven, arguments).await {
            Ok(found) => is_found |= found,
            Err(Ended::Later(reason)) => {
                is_partial = true;
                anstream::eprintln!("{}: {reason}. Run it again when that is better.", settings.name);
            }
            Err(Ended::Failed(error)) => return Err(Failure::Other(error)),
        }
    }
    match (is_partial, is_found) {
        (true, _) => Ok(ExitCode::from(EXIT_LATER)),
        (false, true) => Ok(ExitCode::SUCCESS),
        (false, false) => Err(anyhow::anyhow!(
            "no bridge links this record to the other side, so nothing would be written; salebridge backfill looks for counterparts"
        )
        .into()),
    }
}

/// Looks at one bridge. True where it has what was asked for.
async fn look(
    settings: &Bridge,
    store: &Arc<dyn Store>,
    is_driven: bool,
    arguments: &Arguments,
) -> Result<bool, Ended> {
    let reader = Reader::open(settings, store, is_driven).await?;
    let name = &settings.name;
    let Some(asked) = arguments.asked() else {
        let mut written = 0_u64;
        let mut tell = |looked: &Looked| {
            written += 1;
            print(name, looked, arguments.json, false);
        };
        let count = plan::all(&reader, &mut tell).await?;
        if !arguments.json {
            anstream::println!("{name}: {count} records were looked at; something is to be done about {written}.");
        }
        return Ok(true);
    };
    let looked = plan::one(&reader, asked).await?;
    looked.iter().for_each(|looked| print(name, looked, arguments.json, true));
    Ok(looked.is_some())
}

/// Prints a record: every pair of it, or those that would be written.
fn print(bridge: &str, looked: &Looked, json: bool, all: bool) {
    match json {
        true => anstream::println!("{}", plan::json(bridge, looked)),
        false => anstream::print!("{}", told(bridge, looked, all)),
    }
}

fn told(bridge: &str, looked: &Looked, all: bool) -> String {
    let mut text = format!("{bridge}: {}\n", looked.record);
    let value = |content: Option<&Vec<String>>| match content {
        Some(content) => format!("\"{}\"", shortened(&content.join(" | "))),
        None => "never seen".to_owned(),
    };
    for pair in looked.pairs.iter().filter(|pair| all || pair.write.is_some()) {
        let record = match pair.link {
            LinkRef::Client(id) => client_key(id),
            LinkRef::Lead(id) => lead_key(id),
        };
        text.push_str(&format!("  {record}  {} ({})\n", pair.rule, plan::rule(pair)));
        let (amo, salebot) = (value(Some(&pair.amo)), value(pair.salebot.as_ref()));
        text.push_str(&format!("    now: amoCRM {amo}, Salebot {salebot}\n"));
        let (amo, salebot) = (value(pair.base.amo.as_ref()), value(pair.base.salebot.as_ref()));
        text.push_str(&format!("    last seen: amoCRM {amo}, Salebot {salebot}\n"));
        text.push_str(&format!("    {}: {}\n", shortened(&plan::decision(pair)), pair.why.told()));
    }
    looked.besides.iter().for_each(|line| text.push_str(&format!("  {}\n", shortened(line))));
    looked.troubles.iter().for_each(|trouble| text.push_str(&format!("  {}: {}\n", trouble.record, trouble.told)));
    if looked.pairs.iter().all(|pair| pair.write.is_none()) && looked.besides.is_empty() {
        text.push_str("  Nothing would be written.\n");
    }
    text
}
