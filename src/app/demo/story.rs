//! What happens in the demo, act by act. Each act waits until both sides have settled, with a deadline.

use super::DemoOptions;
use super::stage::{self, Stage};
use super::verdict::{Row, Verdict};
use super::view::View;
use crate::app::town::TRIGGER;
use crate::app::wire;
use crate::core::time::Millis;
use crate::sandbox::amo::fixture::{FIELD_LEAD_SOURCE, FIELD_POSITION, FIELD_SELECT, SELECT_CHOICES};
use crate::sandbox::faults::{Fault, ScriptedFault, ServiceName};
use crate::sandbox::town::{Chatter, Role};
use serde_json::Value;
use std::time::Duration;

/// How often both sides are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long an act may take to settle: far longer than it does.
const PATIENCE_MS: i64 = 40_000;
/// The people of an act write within about this time.
const ACT: Duration = Duration::from_secs(3);
/// The bot's block that greets.
const GREETING_BLOCK: i64 = 390;
/// How many managers' edits of each kind are shown.
const EDITS: usize = 2;

/// The story as far as it has come.
struct Story<'a> {
    stage: &'a Stage,
    view: &'a mut View,
    chatter: Chatter,
    /// Leads that were moved to the trigger's stage.
    triggered: Vec<u64>,
    said: usize,
}

/// Plays all acts and judges.
pub(super) async fn play(stage: &Stage, options: &DemoOptions, view: &mut View) -> anyhow::Result<Verdict> {
    let chatter = Chatter::seeded(options.seed);
    let mut story = Story { stage, view, chatter, triggered: Vec::new(), said: 0 };
    story.opening().await?;
    story.people_write().await?;
    story.managers_edit().await?;
    story.trouble().await?;
    story.quiet().await
}

impl Story<'_> {
    async fn opening(&mut self) -> anyhow::Result<()> {
        let (town, (folder, _)) = (&self.stage.town, self.stage.folder());
        self.view.act("The curtain rises");
        self.view.event(&format!("amoCRM answers at {}, Salebot at {}", town.amo_url(), town.salebot_url()));
        self.view.event(&format!("salebridge listens on {}", self.stage.address()));
        self.view.event(&format!("its configuration: {}", folder.join("salebridge.toml").display()));
        let (contacts, people) = (town.cast().contacts.len(), town.cast().people.len());
        self.view.event(&format!("managers have entered {contacts} contacts; {people} people have something to say"));
        self.settle("the first reading").await
    }

    async fn people_write(&mut self) -> anyhow::Result<()> {
        self.view.act("Act I: people write");
        let people = self.stage.town.cast().people.len();
        let pause = ACT / u32::try_from(people.max(1)).unwrap_or(u32::MAX);
        let late = self.latecomer();
        for person in (0..people).filter(|person| Some(*person) != late) {
            self.first_words(person);
            self.pause(pause).await?;
        }
        self.stage.town.group_chat(1_002_003_004, "Клуб покупателей", "Всем привет!");
        self.view.event(&format!(
            "{people} people wrote {} messages in six messengers; bots and operators answered",
            self.said
        ));
        self.view.event("a group chat was opened: it is nobody's contact");
        self.settle("messages and notes").await
    }

    /// Newcomers write twice at once, people with two messengers in both at once.
    fn first_words(&mut self, person: usize) {
        let town = &self.stage.town;
        let Some(known) = town.cast().people.get(person) else { return };
        let (role, doors) = (known.role, known.doors.len());
        for door in 0..doors {
            self.say(person, door);
        }
        if role == Role::Newcomer {
            self.say(person, 0);
        }
        let Some(client) = town.enter(person, 0) else { return };
        self.said += 1;
        let answer = self.chatter.answer(self.said);
        town.salebot(|salebot, now_ms| match person % 5 {
            0 => salebot.operator_answers(now_ms, client, &answer),
            _ => salebot.bot_answers(now_ms, client, &answer, GREETING_BLOCK),
        });
    }

    fn say(&mut self, person: usize, door: usize) {
        self.said += 1;
        let text = self.chatter.question(self.said);
        self.stage.town.writes(person, door, &text);
    }

    async fn managers_edit(&mut self) -> anyhow::Result<()> {
        self.view.act("Act II: managers edit, bots learn");
        let regulars = self.regulars();
        for (number, (_, contact)) in regulars.iter().enumerate().take(EDITS * 5) {
            self.edit(number, *contact);
            self.pause(ACT / 20).await?;
        }
        self.bots_learn(&regulars);
        self.settle("values of people and leads").await?;
        self.move_leads();
        self.settle("stages").await
    }

    /// One edit, each time of another kind.
    fn edit(&mut self, number: usize, contact: u64) {
        let town = &self.stage.town;
        let told = match number % 5 {
            0 => {
                let name = format!("Новое Имя{number}");
                town.amo(|amo, now_ms| amo.rename_contact(now_ms, contact, &name));
                "renamed"
            }
            1 => {
                let phone = format!("+7 999 000-99-{number:02}");
                town.amo(|amo, now_ms| amo.add_phone(now_ms, contact, &phone));
                "given a second phone"
            }
            2 => {
                town.amo(|amo, now_ms| amo.set_contact_text(now_ms, contact, FIELD_POSITION, "Руководитель отдела"));
                "promoted"
            }
            3 => {
                town.amo(|amo, now_ms| {
                    amo.choose(now_ms, contact, FIELD_SELECT, &[SELECT_CHOICES[2]]);
                    amo.set_contact_tags(now_ms, contact, &["опт", "повтор"])
                });
                "tagged and made VIP"
            }
            _ => {
                self.chatter.new_lead(town, contact);
                "given a new lead"
            }
        };
        self.view.event(&format!("contact {contact} was {told}"));
    }

    /// Bots ask for a position and a source; the person's answer tells us.
    fn bots_learn(&mut self, regulars: &[(usize, u64)]) {
        let town = &self.stage.town;
        let learners: Vec<usize> = regulars.iter().rev().take(EDITS).map(|(person, _)| *person).collect();
        for person in learners {
            let Some(client) = town.enter(person, 0) else { continue };
            town.salebot(|salebot, now_ms| {
                salebot.set_variable(now_ms, client, "client.position", "Технический директор");
            });
            self.say(person, 0);
            self.view.event(&format!("a bot asked client {client} for the position"));
        }
    }

    /// Leads that have become orders move on; one of them to the stage that starts a bot.
    fn move_leads(&mut self) {
        let town = &self.stage.town;
        let (pipeline, status, _) = TRIGGER;
        let movable = town.look(|amo, salebot| movable(amo, salebot, pipeline, status));
        for (number, (lead, order)) in movable.into_iter().take(EDITS * 2).enumerate() {
            if number % 2 == 0 {
                town.amo(|amo, now_ms| amo.move_lead(now_ms, lead, pipeline, status));
                self.triggered.push(lead);
                self.view.event(&format!("lead {lead} moved on: its order follows, and a bot starts"));
            } else {
                town.amo(|amo, now_ms| {
                    amo.set_lead_price(now_ms, lead, 77_700);
                    amo.set_lead_text(now_ms, lead, FIELD_LEAD_SOURCE, "Выставка")
                });
                self.view.event(&format!("the price of lead {lead} changed: order {order} follows"));
            }
        }
    }

    /// Regulars with their contacts: both sides know them from the start.
    fn regulars(&self) -> Vec<(usize, u64)> {
        let people = self.stage.town.cast().people.iter().enumerate();
        people
            .filter(|(_, person)| person.role == Role::Regular)
            .filter_map(|(number, person)| Some((number, person.contact?)))
            .collect()
    }

    /// Somebody new who does not write before the troubles begin.
    fn latecomer(&self) -> Option<usize> {
        self.stage.town.cast().people.iter().rposition(|person| person.role == Role::Newcomer)
    }

    async fn trouble(&mut self) -> anyhow::Result<()> {
        self.view.act("Act III: trouble");
        let amo = |fault| ScriptedFault::once(ServiceName::Amo, fault);
        let salebot = |fault| ScriptedFault::once(ServiceName::Salebot, fault);
        let status = |code, retry_after| Fault::Status { code, body: None, retry_after };
        let spoilt = [
            ("the answer to a new contact is lost", amo(Fault::LostAnswer).on("/contacts").by("POST")),
            ("the answer to new notes is lost", amo(Fault::LostAnswer).on("/notes").by("POST")),
            ("the answer to a new order is lost", salebot(Fault::LostAnswer).on("/create_order")),
            ("amoCRM answers 503 to a listing", amo(status(503, None)).on("/leads").by("GET")),
            ("amoCRM takes its time", amo(Fault::Slow { ms: 1_500 }).on("/contacts").by("GET")),
            ("amoCRM answers 429", amo(status(429, Some(1))).skipping(15)),
            ("Salebot answers 429", salebot(status(429, Some(1))).skipping(15)),
            ("Salebot sends an error page", salebot(Fault::Html { code: 502 }).on("/get_variables").times(2)),
        ];
        for (told, fault) in spoilt {
            self.stage.town.spoil(fault);
            self.view.event(told);
        }
        self.late_people().await?;
        self.until("every trouble has happened", |story| Ok(story.stage.town.spoilt().iter().all(|count| *count > 0)))
            .await?;
        self.settle("both sides in spite of it").await
    }

    /// Everybody writes once more, somebody new comes, and leads are made.
    async fn late_people(&mut self) -> anyhow::Result<()> {
        let regulars = self.regulars();
        let people = self.stage.town.cast().people.len();
        let late = self.latecomer();
        for person in (0..people).step_by(2).filter(|person| Some(*person) != late) {
            self.say(person, 0);
            self.pause(ACT / 40).await?;
        }
        if let Some(newcomer) = self.latecomer() {
            self.say(newcomer, 0);
        }
        for (_, contact) in regulars.iter().rev().take(EDITS) {
            self.chatter.new_lead(&self.stage.town, *contact);
        }
        Ok(())
    }

    /// Nothing happens any more: both sides stay as they are while everything is read again.
    async fn quiet(&mut self) -> anyhow::Result<Verdict> {
        self.view.act("Act IV: silence");
        let town = &self.stage.town;
        town.calm();
        let before = self.rounds().into_iter().zip([2, 2, 1]).collect::<Vec<_>>();
        let writes_before = town.look(stage::writes);
        self.until("everything was read again", |story| {
            Ok(story.rounds().iter().zip(&before).all(|(now, (before, more))| *now >= before + more))
        })
        .await?;
        let status = self.idle_status().await?;
        let writes_after = self.stage.town.look(stage::writes);
        let written = usize::try_from(writes_after - writes_before).unwrap_or(usize::MAX);
        let rows =
            [Row::equal("writes while everything was read again", 0, written)].into_iter().chain(own_rows(&status));
        Ok(Verdict::of_town(&self.stage.town, &self.triggered).with(rows))
    }

    /// The status once nothing waits: the scan of Salebot's clients leaves marks for a moment.
    async fn idle_status(&mut self) -> anyhow::Result<Value> {
        let began = wire::now();
        loop {
            let status = self.stage.status().await?;
            if own_rows(&status).iter().all(Row::is_good) || since_ms(began) > PATIENCE_MS {
                return Ok(status);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How often contacts, leads and clients have been listed.
    fn rounds(&self) -> [usize; 3] {
        self.stage.town.look(|amo, salebot| {
            let listed = |path: &str| {
                let increments = amo.request_log().filter(|request| request.if_modified_since.is_some());
                increments.filter(|request| request.path == path).count()
            };
            let clients = salebot.statistics().by_action.get("get_clients").copied().unwrap_or(0);
            let clients = usize::try_from(clients).unwrap_or(usize::MAX);
            [listed("/api/v2/contacts"), listed("/api/v2/leads"), clients]
        })
    }

    /// Waits until everything said so far holds and nothing waits.
    async fn settle(&mut self, what: &str) -> anyhow::Result<()> {
        let began = wire::now();
        loop {
            let status = self.stage.status().await?;
            // Marks do not count: the scan of Salebot's clients leaves new ones all the time.
            let is_idle = ["inbox", "outbox"].iter().all(|queue| status[*queue] == 0);
            let verdict = Verdict::of_town(&self.stage.town, &self.triggered);
            let holds = verdict.broken().iter().all(|row| row.what() == NEEDS_PEOPLE && self.said == 0);
            self.view.show(self.stage.snapshot().await?);
            if is_idle && holds {
                self.view.event(&format!("settled: {what}, after {:.1} s", seconds(began)));
                self.view.totals();
                return Ok(());
            }
            if since_ms(began) > PATIENCE_MS {
                self.view.wrong(&format!("not settled: {what}"));
                for row in verdict.broken() {
                    self.view.wrong(&format!("  {}: {}", row.what(), row.found()));
                }
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let began = wire::now();
        while !holds(self)? {
            if since_ms(began) > PATIENCE_MS {
                self.view.wrong(&format!("not so in time: {what}"));
                return Ok(());
            }
            self.pause(LOOK).await?;
        }
        self.view.event(&format!("{what}, in {:.1} s", seconds(began)));
        Ok(())
    }

    async fn pause(&mut self, length: Duration) -> anyhow::Result<()> {
        self.view.show(self.stage.snapshot().await?);
        tokio::time::sleep(length).await;
        Ok(())
    }
}

/// Nothing can have been delivered before anybody wrote.
const NEEDS_PEOPLE: &str = super::verdict::DELIVERED;

fn since_ms(began: Millis) -> i64 {
    wire::now().since(began)
}

/// For people to read.
fn seconds(began: Millis) -> f64 {
    f64::from(i32::try_from(since_ms(began)).unwrap_or(i32::MAX)) / 1_000.0
}

/// What the daemon says of itself.
fn own_rows(status: &Value) -> [Row; 2] {
    let number =
        |name: &str| status[name].as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(usize::MAX);
    let waiting = ["inbox", "outbox", "marks"].map(number).into_iter().fold(0, usize::saturating_add);
    [
        Row::equal("messages, marks and actions that wait", 0, waiting),
        Row::equal("dead letters", 0, number("dead_letters")),
    ]
}

/// Open leads of the main pipeline that have their order, and are not in that stage yet.
fn movable(
    amo: &crate::sandbox::amo::Amo,
    salebot: &crate::sandbox::salebot::Salebot,
    pipeline: u64,
    status: u64,
) -> Vec<(u64, i64)> {
    let orders = salebot.clients().flat_map(|client| salebot.orders(client.id));
    let of_lead = orders.filter_map(|order| {
        let mark = order.variables.get("Описание").and_then(Value::as_str)?;
        let lead: u64 = mark.rsplit(' ').next()?.parse().ok()?;
        let lead = amo.lead(lead)?;
        let is_current = salebot.orders(order.client_id).len() == 1;
        let fits = lead.pipeline_id == pipeline && lead.status_id != status && lead.status_id < 2_000;
        (fits && is_current && lead.status_id > 1_000).then_some((lead.card.id, order.id))
    });
    of_lead.collect()
}
