//! Templates of notes and callbacks: checked once with the configuration, bounded when rendered.

use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

/// Steps a rendering may take; the default templates need about ten.
const FUEL: u64 = 20_000;
/// Longest rendered text in characters: above it a template has run away.
const RENDERED_CHARS_MAX: usize = 100_000;

/// What a template is for, and so which names it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateKind {
    /// One line of a note: [`LineNames`].
    Note,
    /// The text of a callback: [`CallbackNames`].
    Callback,
}

/// Names for a line of a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineNames {
    /// `←` from the person, `→` from our side.
    pub arrow: &'static str,
    /// `in` or `out`.
    pub direction: &'static str,
    /// `client`, `operator` or `bot`.
    pub author: &'static str,
    /// The messenger.
    pub channel: String,
    /// The bot.
    pub bot: String,
    /// `31.12.2026 15:30` in the account's time zone.
    pub time: String,
    /// The person's name.
    pub name: String,
    /// The client's id.
    pub client_id: String,
    /// The message, attachments included.
    pub text: String,
}

/// Names for a callback.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CallbackNames {
    /// The contact.
    pub contact: ContactNames,
    /// The lead; empty texts where the event is about a contact.
    pub lead: LeadNames,
}

/// A contact's names for a callback.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are the documentation: they are what a template writes")]
pub struct ContactNames {
    pub id: String,
    pub name: String,
    pub phone: String,
    pub email: String,
    pub responsible: String,
}

/// A lead's names for a callback.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are the documentation: they are what a template writes")]
pub struct LeadNames {
    pub id: String,
    pub name: String,
    pub price: String,
    pub pipeline: String,
    pub pipeline_id: String,
    pub stage: String,
    pub status_id: String,
    pub responsible: String,
}

/// Renders a template. The error says what is wrong with the template and holds none of the values.
pub fn render<T: Serialize>(source: &str, names: &T) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    let template = environment.template_from_str(source).map_err(|error| described(&error))?;
    let text = template.render(Value::from(Serde(names))).map_err(|error| described(&error))?;
    if text.chars().count() > RENDERED_CHARS_MAX {
        return Err(format!("the text grows beyond {RENDERED_CHARS_MAX} characters"));
    }
    Ok(text)
}

fn described(error: &minijinja::Error) -> String {
    let place = error.line().map(|line| format!(" (line {line} of the template)")).unwrap_or_default();
    match error.kind() {
        minijinja::ErrorKind::UndefinedError => format!("it uses a name that does not exist{place}"),
        minijinja::ErrorKind::OutOfFuel => "it runs too long".to_owned(),
        kind => format!("{kind}{place}"),
    }
}

/// Tries a template with sample values, so that a wrong name is found with the configuration.
pub fn check(kind: TemplateKind, source: &str) -> Result<(), String> {
    let rendered = match kind {
        TemplateKind::Callback => render(source, &CallbackNames::default()),
        TemplateKind::Note => render(source, &sample_line()),
    };
    let known = match kind {
        TemplateKind::Note => "arrow, direction, author, channel, bot, time, name, client_id, text",
        TemplateKind::Callback => {
            "contact.{id,name,phone,email,responsible}, lead.{id,name,price,pipeline,pipeline_id,stage,status_id,responsible}"
        }
    };
    rendered.map(|_| ()).map_err(|reason| format!("{reason}; known names: {known}"))
}

fn sample_line() -> LineNames {
    LineNames {
        arrow: "←",
        direction: "in",
        author: "client",
        channel: "Telegram".to_owned(),
        bot: "some_bot".to_owned(),
        time: "31.12.2026 15:30".to_owned(),
        name: "Anna".to_owned(),
        client_id: "5".to_owned(),
        text: "hello".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_templates_are_sound() {
        let line = render("{{ arrow }} {{ channel }} {{ time }}: {{ text }}", &sample_line()).unwrap();
        assert_eq!(line, "← Telegram 31.12.2026 15:30: hello");
        assert_eq!(check(TemplateKind::Callback, "amo_state_changed {{ lead.pipeline }}:{{ lead.stage }}"), Ok(()));
    }

    #[test]
    fn wrong_and_endless_templates_are_refused() {
        assert!(check(TemplateKind::Note, "{{ txt }}").unwrap_err().contains("known names"));
        assert!(check(TemplateKind::Note, "{{ text").unwrap_err().contains("line 1"));
        assert!(
            check(
                TemplateKind::Note,
                "{% for i in range(10000) %}{% for j in range(10000) %}x{% endfor %}{% endfor %}"
            )
            .is_err()
        );
        assert!(check(TemplateKind::Callback, "{{ lead.stge }}").is_err());
    }

    #[test]
    fn what_people_wrote_is_text_and_never_a_template() {
        let line = LineNames { text: "{{ 7 * 7 }} <b>&amp;".to_owned(), ..sample_line() };
        assert_eq!(render("{{ text }}", &line).unwrap(), "{{ 7 * 7 }} <b>&amp;");
    }
}
