//! What a run wrote is put back where nobody has edited it since: asked for by a text in the store, read record by
//! record, decided by the planner, carried out by the outbox like everything else.

use super::record::Draft;
use super::{Bridge, Failure, Step};
use crate::core::action::{Confirm, LinkRef};
use crate::core::backfill::kept;
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::{ClientId, ContactId, LeadId};
use crate::core::link::{ClientLink, DealLink};
use crate::core::model::{Contact, Lead, Order, Variables};
use crate::core::plan::Notice;
use crate::core::plan::ground::Ground;
use crate::core::plan::undo::{self, Around, Changed, Decided, Earlier, Now};
use crate::core::run::{RUNS, Run, Target, UNDID, WROTE, WroteLine};
use crate::core::undo::{LEFT, Line, OVERTAKEN, PROGRESS, Progress, REQUEST, Request, WRITES, WROTE_MAX, What};
use crate::ports::remote::{BrokenRow, Priority, Wanted};
use crate::ports::store::{Change, NewAction, OutboxRow, Stored};
use futures::future::join_all;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The name of this work for the log and health.
pub const UNDO: &str = "undo";
/// Records looked at together.
const TOGETHER: usize = 50;
/// The wait after records could not be read.
const REST_MS: i64 = 15_000;
/// The wait for an action under way, and how often.
const BUSY_MS: i64 = 300;
const BUSY_TIMES: u32 = 100;

/// What was read of a page of records.
#[derive(Default)]
struct Page {
    contacts: BTreeMap<ContactId, Contact>,
    leads: BTreeMap<LeadId, Lead>,
    variables: BTreeMap<ClientId, Variables>,
    orders: BTreeMap<Target, Order>,
    clients: Vec<ClientLink>,
    deals: Vec<DealLink>,
    /// Records whose rows cannot be read, and why.
    broken: BTreeMap<Target, String>,
}

impl Page {
    fn now(&self, target: Target) -> Option<Now<'_>> {
        match target {
            Target::Contact(id) => self.contacts.get(&id).map(Now::Contact),
            Target::Lead(id) => self.leads.get(&id).map(Now::Lead),
            Target::Client(id) => self.variables.get(&id).map(Now::Client),
            Target::Order(..) => self.orders.get(&target).map(Now::Order),
        }
    }
}

/// The records of a run, with what it changed of them.
type Gathered = BTreeMap<Target, Vec<Changed>>;

impl Bridge {
    /// Carries out what was asked for.
    pub(super) async fn undo_step(&self) -> Stored<Step> {
        let asked = self.store().text(self.name(), REQUEST).await?;
        let Some(request) = kept::<Request>(asked.as_deref()) else { return Ok(Step::Idle(None)) };
        let Some(ground) = self.ground() else { return Ok(Step::Idle(self.until_grounded())) };
        let text = self.store().text(self.name(), PROGRESS).await?;
        let left = kept::<Progress>(text.as_deref()).filter(|kept| kept.request == request);
        let earlier = match &left {
            Some(_) => self.decided_earlier(&request).await?,
            None => Earlier::default(),
        };
        let mut progress = left.unwrap_or_else(|| Progress::new(request.clone()));
        match self.undo(&ground, &earlier, &mut progress).await {
            Ok(true) => {
                progress.done_at = Some(self.now());
                let own = request.own_run();
                tracing::info!(bridge = self.name(), run = %request.run, own = %own, counts = ?progress.counts, dry_run = request.dry_run, "the undo is through");
                let mut changes =
                    vec![Change::PutText(PROGRESS, progress.text()), Change::PutText(REQUEST, String::new())];
                // A run of which all was left, or was as before already, is not undone by this.
                if !request.dry_run && progress.count(What::PutBack) > 0 {
                    let detail = json!({ "run": own, "of": request.run, "put_back": progress.count(What::PutBack) });
                    changes.push(self.journal(Notice { subject: RUNS.to_owned(), kind: UNDID, detail }));
                }
                self.commit(changes).await?;
                self.worked(UNDO);
                Ok(Step::More)
            }
            Ok(false) => Ok(Step::Idle(None)),
            Err(Failure::Store(error)) => Err(error),
            Err(Failure::Fault(fault)) if fault.kind == FaultKind::Interrupted => Ok(Step::Idle(None)),
            Err(Failure::Fault(fault)) => {
                self.troubled(UNDO, &fault, "the undo rests; it goes on where it stopped");
                progress.fault = Some(fault.to_string());
                self.commit(vec![Change::PutText(PROGRESS, progress.text())]).await?;
                Ok(Step::Idle(Some(self.now().plus(REST_MS))))
            }
        }
    }

    /// Page by page; false when it was taken back.
    async fn undo(&self, ground: &Ground, earlier: &Earlier, progress: &mut Progress) -> Result<bool, Failure> {
        let request = progress.request.clone();
        let all = self.written_by(ground, &request).await?;
        progress.records = all.len() as u64;
        // From here on whoever goes on with it knows that something may have been decided.
        self.commit(vec![Change::PutText(PROGRESS, progress.text())]).await?;
        let todo: Vec<(Target, Vec<Changed>)> =
            all.into_iter().filter(|(target, _)| progress.after.is_none_or(|after| *target > after)).collect();
        for page in todo.chunk_by(|(a, _), (b, _)| is_alike(*a, *b)).flat_map(|alike| alike.chunks(TOGETHER)) {
            if self.is_stopping() || self.is_taken_back(&request).await? {
                return Ok(false);
            }
            self.undo_page(ground, page, earlier, progress).await?;
            self.commit(vec![Change::PutText(PROGRESS, progress.text())]).await?;
        }
        Ok(true)
    }

    async fn is_taken_back(&self, request: &Request) -> Stored<bool> {
        let asked = self.store().text(self.name(), REQUEST).await?;
        Ok(kept::<Request>(asked.as_deref()).as_ref() != Some(request))
    }

    /// What the run wrote, from the journal.
    async fn written_by(&self, ground: &Ground, request: &Request) -> Stored<Gathered> {
        let mut rows = self.store().journal(self.name(), &request.run.subject(), WROTE_MAX).await?;
        if rows.len() as u64 >= u64::from(WROTE_MAX) {
            tracing::warn!(bridge = self.name(), run = %request.run, lines = WROTE_MAX, "the run wrote more than can be undone at once; its newest lines are taken");
        }
        rows.reverse();
        let lines = rows.into_iter().filter(|row| row.kind == WROTE);
        let lines = lines.filter_map(|row| serde_json::from_value::<WroteLine>(row.detail).ok());
        let lines = lines.map(|mut line| {
            line.values.retain(|value| request.wants(&value.rule));
            line
        });
        Ok(undo::gathered(ground, lines))
    }

    /// What this undo itself has decided already. A write leaves the outbox with its line of the journal, so that the
    /// outbox is read first.
    async fn decided_earlier(&self, request: &Request) -> Stored<Earlier> {
        let mut earlier = Earlier::default();
        let own = request.own_run();
        for name in WRITES {
            let rows = self.store().pending_named(self.name(), name, WROTE_MAX).await?;
            let ours = rows.iter().filter(|row| row.run == Some(own));
            ours.filter_map(|row| WroteLine::of(&row.action)).for_each(|line| earlier.wrote(&line));
        }
        for row in self.store().journal(self.name(), &own.subject(), WROTE_MAX).await? {
            if row.kind == WROTE || row.kind == OVERTAKEN {
                serde_json::from_value(row.detail).iter().for_each(|line| earlier.wrote(line));
            } else if row.kind == LEFT
                && let Ok(line) = serde_json::from_value(row.detail)
            {
                earlier.left(line);
            }
        }
        Ok(earlier)
    }

    /// Reads, decides and records a page. A record with an action under way is waited for.
    async fn undo_page(
        &self,
        ground: &Ground,
        records: &[(Target, Vec<Changed>)],
        earlier: &Earlier,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let mut todo: Gathered = records.iter().cloned().collect();
        for round in 0..=BUSY_TIMES {
            let page = self.read_page(&todo).await?;
            for (target, changed) in std::mem::take(&mut todo) {
                let own = progress.request.own_run();
                let mut decided = self.decide_undo(ground, target, &changed, &page, own).await?;
                let is_ours = earlier.settles(target, &mut decided);
                let is_settled = match progress.request.dry_run || is_ours {
                    true => true,
                    false => self.record_undo(&decided, &page, &progress.request).await?,
                };
                if is_settled {
                    progress.take(target, decided.lines);
                } else if round < BUSY_TIMES {
                    todo.insert(target, changed);
                } else {
                    let lines = decided.lines.into_iter().map(overtaken).collect();
                    progress.take(target, lines);
                }
            }
            if todo.is_empty() {
                return Ok(());
            }
            self.parts.env.sleep(BUSY_MS).await;
            if self.is_stopping() {
                return Err(Fault::new(FaultKind::Interrupted, "the daemon stops").into());
            }
        }
        Ok(())
    }

    /// What becomes of a record.
    async fn decide_undo(
        &self,
        ground: &Ground,
        target: Target,
        changed: &[Changed],
        page: &Page,
        own: Run,
    ) -> Stored<Decided> {
        let pending = self.store().pending(self.name(), &[key(target)]).await?;
        let is_others = |row: &&OutboxRow| row.run != Some(own) && Target::of(&row.action) == Some(target);
        let others = pending.iter().filter(is_others);
        let waiting: Vec<Confirm> = others.flat_map(|row| row.action.confirms().to_vec()).collect();
        let around = Around { clients: &page.clients, deals: &page.deals, waiting: &waiting };
        let mut decided = undo::decide(ground, target, page.now(target), changed, around);
        if let Some(reason) = page.broken.get(&target) {
            decided.lines.iter_mut().for_each(|line| (line.what, line.told) = (What::Refused, reason.clone()));
        }
        Ok(decided)
    }

    /// Records a decided write, and the lines about what is left. False when the record is busy or has changed.
    async fn record_undo(&self, decided: &Decided, page: &Page, request: &Request) -> Stored<bool> {
        let own = request.own_run();
        let mut draft = Draft { run: Some(own), ..Draft::default() };
        let left = decided.lines.iter().filter(|line| line.what.is_left());
        draft
            .changes
            .extend(left.map(|line| self.journal(Notice { subject: own.subject(), kind: LEFT, detail: json!(line) })));
        if let Some((slot, action)) = &decided.action {
            draft.keys.insert(action.key());
            for confirm in action.confirms() {
                let revision = page.revision(confirm);
                draft.revisions.push((confirm.link, revision));
            }
            let now = self.now();
            let (action, slot) = (action.clone(), Some(slot.clone()));
            let priority = Priority::Background;
            let new = NewAction { action, slot, priority, not_before: now, created_at: now, run: Some(own) };
            draft.changes.push(Change::AddAction(Box::new(new)));
        }
        Ok(draft.changes.is_empty() || self.record(vec![draft], Vec::new()).await? == 1)
    }

    async fn read_page(&self, todo: &Gathered) -> Result<Page, Failure> {
        let mut page = Page::default();
        let (mut contacts, mut leads, mut clients, mut orders) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (target, changed) in todo {
            match *target {
                Target::Contact(id) => contacts.push(id),
                Target::Lead(id) => leads.push(id),
                Target::Client(id) => clients.push(id),
                Target::Order(client, order) => {
                    clients.push(client);
                    orders.push((*target, client, order, order_variables(changed)));
                }
            }
        }
        let background = Priority::Background;
        if !contacts.is_empty() {
            let read = self.parts.amo.contacts_by_id(&contacts, background).await?;
            page.broken.extend(broken(read.broken, |id| Target::Contact(ContactId(id))));
            page.contacts = read.rows.into_iter().map(|row| (row.id, row)).collect();
            page.clients = self.store().clients_of(self.name(), &contacts).await?;
        }
        if !leads.is_empty() {
            let read = self.parts.amo.leads_by_id(&leads, background).await?;
            page.broken.extend(broken(read.broken, |id| Target::Lead(LeadId(id))));
            page.leads = read.rows.into_iter().map(|row| (row.id, row)).collect();
            page.deals = self.store().deals(self.name(), &leads).await?;
        }
        if !clients.is_empty() {
            page.clients = self.store().clients(self.name(), &clients).await?;
            let of: BTreeSet<ContactId> = page.clients.iter().filter_map(|link| link.contact).collect();
            page.deals = self.store().deals_of(self.name(), &of.into_iter().collect::<Vec<_>>()).await?;
        }
        if orders.is_empty() {
            for (client, read) in self.read_variables(clients.into_iter(), background).await {
                page.variables.extend(read?.map(|variables| (client, variables)));
            }
        }
        let read = orders.iter().map(|(target, client, order, names)| async move {
            (*target, self.parts.salebot.order(*client, *order, Wanted::Named(names), background).await)
        });
        for (target, read) in join_all(read).await {
            page.orders.extend(read?.map(|order| (target, order)));
        }
        Ok(page)
    }
}

impl Page {
    fn revision(&self, confirm: &Confirm) -> i64 {
        match confirm.link {
            LinkRef::Client(id) => {
                self.clients.iter().find(|link| link.client.id == id).map_or(0, |link| link.revision)
            }
            LinkRef::Lead(id) => self.deals.iter().find(|deal| deal.lead == id).map_or(0, |deal| deal.revision),
        }
    }
}

/// Names of an order's variables that were written.
fn order_variables(changed: &[Changed]) -> BTreeSet<String> {
    changed.iter().filter_map(Changed::order_variable).map(str::to_owned).collect()
}

fn broken(rows: Vec<BrokenRow>, target: fn(u64) -> Target) -> impl Iterator<Item = (Target, String)> {
    rows.into_iter().filter_map(move |row| Some((target(row.id?), format!("it cannot be read: {}", row.reason))))
}

/// Records that are read by one kind of request.
fn is_alike(a: Target, b: Target) -> bool {
    std::mem::discriminant(&a) == std::mem::discriminant(&b)
}

/// The order key of writes to a record (`Action::key`).
fn key(target: Target) -> String {
    match target {
        Target::Contact(_) | Target::Lead(_) | Target::Client(_) => target.to_string(),
        Target::Order(client, _) => Target::Client(client).to_string(),
    }
}

fn overtaken(line: Line) -> Line {
    match line.what {
        What::PutBack => Line { what: What::Edited, told: "it kept changing meanwhile".to_owned(), ..line },
        _ => line,
    }
}
