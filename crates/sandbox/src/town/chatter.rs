//! What people say and managers do when nobody directs them.

use super::cast;
use super::{Dice, Town};
use crate::amo::edit::LeadDraft;
use crate::amo::fixture::{FIELD_POSITION, PIPELINE_MAIN};

const QUESTIONS: [&str; 10] = [
    "Здравствуйте! Есть в наличии?",
    "Когда привезёте заказ?",
    "Сколько будет стоить доставка?",
    "Можно оплатить картой?",
    "Пришлите, пожалуйста, счёт.",
    "А скидка постоянным покупателям есть?",
    "Хочу поменять адрес доставки.",
    "Спасибо, всё получил!",
    "Подскажите, вы работаете в субботу?",
    "Можно забрать самому?",
];
const ANSWERS: [&str; 6] = [
    "Здравствуйте! Сейчас проверю.",
    "Да, есть. Оформляем?",
    "Доставка бесплатная от трёх тысяч.",
    "Счёт отправили.",
    "Конечно, ждём вас.",
    "Передала менеджеру, он скоро ответит.",
];
/// The bot's block that greets (the default project's first one).
const GREETING_BLOCK: i64 = 390;
/// Leads made by chance are numbered from here, apart from those entered before.
const LEADS_FROM: usize = 10_000;

/// The town's everyday life, one doing at a time.
#[derive(Debug)]
pub struct Chatter {
    dice: Dice,
    leads: usize,
}

impl Chatter {
    /// Everyday life that goes the same way for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self { dice: Dice::seeded(seed ^ 0x5EED), leads: LEADS_FROM }
    }

    /// A question somebody may ask. The number makes it different from all others.
    pub fn question(&mut self, number: usize) -> String {
        format!("{} ({number})", self.dice.choose(&QUESTIONS).copied().unwrap_or_default())
    }

    /// What our side may say to it.
    pub fn answer(&mut self, number: usize) -> String {
        format!("{} ({number})", self.dice.choose(&ANSWERS).copied().unwrap_or_default())
    }

    /// Somebody writes, and often a bot or an operator answers. Who it was.
    pub fn somebody_writes(&mut self, town: &Town, number: usize) -> Option<usize> {
        let person = self.dice.below(town.cast().people.len());
        let door = self.dice.below(town.cast().people.get(person)?.doors.len());
        town.writes(person, door, &self.question(number))?;
        let client = town.enter(person, door)?;
        let (asked, answer) = (self.dice.below(3), self.answer(number));
        town.salebot(|salebot, now_ms| match asked {
            0 => salebot.bot_answers(now_ms, client, &answer, GREETING_BLOCK),
            1 => salebot.operator_answers(now_ms, client, &answer),
            _ => None,
        });
        Some(person)
    }

    /// A manager edits a contact, moves a lead or makes one. False where there is nobody to edit.
    pub fn somebody_edits(&mut self, town: &Town) -> bool {
        let Some(&contact) = self.dice.choose(&town.cast().contacts) else { return false };
        match self.dice.below(3) {
            0 => {
                let position = cast::position(&mut self.dice);
                town.amo(|amo, now_ms| amo.set_contact_text(now_ms, contact, FIELD_POSITION, position))
            }
            1 => match self.dice.choose(&town.cast().leads).copied() {
                Some(lead) => town.amo(|amo, now_ms| amo.move_lead(now_ms, lead, PIPELINE_MAIN, 1002)),
                None => false,
            },
            _ => self.new_lead(town, contact) > 0,
        }
    }

    /// A manager makes a lead for a contact, in the first stage; its number.
    pub fn new_lead(&mut self, town: &Town, contact: u64) -> u64 {
        self.leads += 1;
        let draft = LeadDraft {
            name: cast::lead_name(&mut self.dice, self.leads),
            contact_ids: vec![contact],
            price: cast::price(&mut self.dice),
            ..LeadDraft::default()
        };
        town.amo(|amo, now_ms| amo.create_lead(now_ms, draft))
    }
}
