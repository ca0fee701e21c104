//! Every function in every form of a call: what reaches the engine, and the page that tells of it.
//!
//! `docs/functions-matrix.md` is made by this test: `UPDATE_DOCS=1 cargo test --test it functions::matrix` writes it.

use super::{Shop, TOKEN, http};
use crate::inbound_store::{InboxDouble, Mood};
use crate::watch::SystemEnv;
use async_trait::async_trait;
use salebridge::core::flex::Notices;
use salebridge::core::function::{Answer, Call, Function};
use salebridge::inbound::{BodyLimits, Door, Inbound, Readiness, ReadyReport, ServerLimits, router, serve};
use salebridge::ports::function::Functions;
use salebridge::ports::store::Stored;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/functions-matrix.md");
/// Whose bot calls.
const CLIENT: i64 = 5;

/// Keeps what reaches it.
#[derive(Default)]
struct Engine(Mutex<Vec<Call>>);

#[async_trait]
impl Functions for Engine {
    async fn call(&self, call: Call, _: i64) -> Stored<Answer> {
        self.0.lock().expect("whole").push(call);
        Ok(Answer::done())
    }
}

struct Ready;

impl Readiness for Ready {
    fn report(&self) -> ReadyReport {
        ReadyReport { ready: true, reasons: json!([]) }
    }
}

/// The door of a bridge with an engine that only listens.
struct Site {
    engine: Arc<Engine>,
    url: String,
    client: reqwest::Client,
    stop: CancellationToken,
}

/// How the arguments of a call are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Json,
    DoublyEncoded,
    Form,
    Query,
    JsonCalledForm,
    FormCalledJson,
    NoType,
    NumbersAsText,
    NumbersAsDecimals,
    Listed,
    ListedInAForm,
}

impl Way {
    const ALL: [(Way, &'static str); 11] = [
        (Way::Json, "JSON"),
        (Way::DoublyEncoded, "JSON in a JSON text"),
        (Way::Form, "form"),
        (Way::Query, "GET, query"),
        (Way::JsonCalledForm, "JSON called a form"),
        (Way::FormCalledJson, "form called JSON"),
        (Way::NoType, "JSON, no type"),
        (Way::NumbersAsText, "numbers as text"),
        (Way::NumbersAsDecimals, "numbers as `5.0`"),
        (Way::Listed, "`args` in order"),
        (Way::ListedInAForm, "`args` in a form"),
    ];
}

/// The ways in which bots leave an argument out.
const ABSENT: [&str; 11] = ["", " ", "None", "NONE", "none", "null", "NULL", "undefined", "''", "\"\"", "#{variable}"];

/// One value for each argument, with signs that forms and JSON escape.
fn value(name: &str) -> Value {
    match name {
        "lead_data" => json!(r#"{"name": "Чай & кофе", "budget": 1500, "responsible_id": 504142}"#),
        "contact_id" => json!(101),
        "lead_id" => json!(301),
        "status_id" => json!(1002),
        "pipeline_id" => json!(61),
        "var_id" | "field_id" => json!("Доставка: куда?"),
        "assigned_id" | "responsible_user_id" => json!(504_142),
        "minutes_deadline" => json!(30),
        "task_type_id" => json!(2),
        "budget" => json!(2500),
        "tags" => json!("опт, чай"),
        "text" => json!("Две\nстроки: 100% & «a=b» + \"c\""),
        "name" | "title" | "first_name" | "last_name" | "value" => json!(format!("{name} & 100% = «а» + б")),
        _ => panic!("a value for {name}"),
    }
}

type Named = Vec<(&'static str, Value)>;

fn all_of(function: Function) -> Named {
    function.parameters().iter().map(|parameter| (parameter.name, value(parameter.name))).collect()
}

fn object(client: Value, named: &Named) -> Value {
    let mut object = Map::from_iter([("client_id".to_owned(), client)]);
    object.extend(named.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Value::Object(object)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn pairs(named: &Named) -> String {
    let mut url = reqwest::Url::parse("http://localhost/").expect("an address");
    url.query_pairs_mut().append_pair("client_id", &CLIENT.to_string());
    for (name, value) in named {
        url.query_pairs_mut().append_pair(name, &text(value));
    }
    url.query().unwrap_or_default().to_owned()
}

impl Site {
    async fn open() -> Site {
        let engine = Arc::new(Engine::default());
        let token = SecretString::from(TOKEN);
        let door = Door::new(&SecretString::from("some-webhook-secret"), Arc::default(), Notices::default());
        let door = door.with_functions(&token, Arc::clone(&engine) as Arc<dyn Functions>);
        let store = Arc::new(InboxDouble::new(Mood::Takes));
        let doors = [("shop".to_owned(), door)].into();
        let state = Inbound::new(doors, store, Arc::new(SystemEnv), Arc::new(Ready), BodyLimits::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/functions/shop", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let limits = ServerLimits { grace_ms: 100, ..ServerLimits::default() };
        tokio::spawn(serve(listener, router(Arc::new(state)), stop.clone(), limits));
        Site { engine, url, client: http(), stop }
    }

    /// What reaches the engine; or else the error that is answered.
    async fn heard(&self, request: reqwest::RequestBuilder) -> Result<Value, String> {
        let answer = request.bearer_auth(TOKEN).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        match (self.engine.0.lock().expect("whole").pop(), answer["error"].as_str()) {
            (Some(call), None) => {
                let (wanted, once) = (serde_json::to_value(&call.work).expect("JSON"), call.once_ms);
                Ok(json!([call.function.name(), call.client.0, format!("{:?}", call.target), wanted, once]))
            }
            (None, Some(error)) => Err(error.to_owned()),
            both => panic!("heard and refused: {both:?}"),
        }
    }

    async fn send(&self, function: Function, named: &Named, form: Way) -> Result<Value, String> {
        let url = format!("{}/{}", self.url, function.name());
        let post = |kind: &str, body: String| self.client.post(&url).header("content-type", kind).body(body);
        let json = object(json!(CLIENT), named).to_string();
        let respelled = |spell: &dyn Fn(&Value) -> String| {
            let numbers = named.iter().map(|(name, value)| match value {
                Value::Number(_) => (*name, json!(spell(value))),
                _ => (*name, value.clone()),
            });
            object(json!(spell(&json!(CLIENT))), &numbers.collect()).to_string()
        };
        let listed = || named.iter().map(|(_, value)| json!(text(value))).collect::<Vec<_>>();
        let list = |args: Value| vec![("args", args)];
        self.heard(match form {
            Way::Json => post("application/json", json),
            Way::DoublyEncoded => post("application/json", json!(json).to_string()),
            Way::Form => post("application/x-www-form-urlencoded", pairs(named)),
            Way::Query => self.client.get(format!("{url}?{}", pairs(named))),
            Way::JsonCalledForm => post("application/x-www-form-urlencoded", json),
            Way::FormCalledJson => post("application/json", pairs(named)),
            Way::NoType => self.client.post(&url).body(json),
            Way::NumbersAsText => post("application/json", respelled(&|number| number.to_string())),
            Way::NumbersAsDecimals => post("application/json", respelled(&|number| format!("{number}.0"))),
            Way::Listed => post("application/json", object(json!(CLIENT), &list(json!(listed()))).to_string()),
            Way::ListedInAForm => {
                post("application/x-www-form-urlencoded", pairs(&list(json!(json!(listed()).to_string()))))
            }
        })
        .await
    }
}

/// One cell for the arguments that may be left out, one for those that may not.
async fn absent(site: &Site, function: Function) -> (String, String) {
    let parameters = function.parameters();
    let needed: Named =
        all_of(function).into_iter().zip(parameters).filter(|(_, p)| p.required).map(|(n, _)| n).collect();
    let optional: Vec<&str> = parameters.iter().filter(|p| !p.required).map(|p| p.name).collect();
    let bare = site.send(function, &needed, Way::Json).await;
    let spellings = ABSENT.iter().map(|text| json!(text)).chain([Value::Null]);
    let (mut spelled, mut refusals) = (0, Vec::new());
    for spelling in spellings {
        let mut named = needed.clone();
        named.extend(optional.iter().map(|name| (*name, spelling.clone())));
        for form in [Way::Json, Way::Form, Way::Query] {
            if form != Way::Json && spelling.is_null() {
                continue;
            }
            assert_eq!(site.send(function, &named, form).await, bare, "{function:?} with {spelling} by {form:?}");
        }
        for place in 0..needed.len() {
            let mut named = needed.clone();
            named[place].1 = spelling.clone();
            refusals.push(site.send(function, &named, Way::Json).await.expect_err("an argument is missing"));
        }
        spelled += 1;
    }
    assert_eq!(spelled, ABSENT.len() + 1);
    refusals.sort();
    refusals.dedup();
    assert!(refusals.len() <= 1, "{function:?}: {refusals:?}");
    let optional = match (optional.is_empty(), &bare) {
        (true, _) => "–".to_owned(),
        (false, Ok(_)) => "default".to_owned(),
        (false, Err(error)) => format!("`{error}`"),
    };
    (optional, refusals.first().map_or_else(|| "–".to_owned(), |error| format!("`{error}`")))
}

/// The names of what the simulated services' records make of one good call.
async fn answers() -> Vec<String> {
    let shop = Shop::acquainted().await;
    let lead = shop.lead("Чай");
    let mut answers = Vec::new();
    for function in Function::ALL {
        let mut named = all_of(function);
        for (name, value) in &mut named {
            match *name {
                "lead_id" => *value = json!(lead),
                "contact_id" => *value = json!(shop.contact),
                "var_id" | "field_id" if function.is_about_lead() => *value = json!("Источник"),
                "var_id" | "field_id" => *value = json!("Должность"),
                _ => {}
            }
        }
        let answer = shop.call(function.name(), object(json!(shop.client), &named)).await;
        let names = answer.as_object().expect("an object").keys().filter(|name| !name.starts_with("field_"));
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        let is_done = answer["ok"] == 1;
        assert_eq!(is_done, function != Function::GetToken, "{answer}");
        answers.push(if is_done { names.join(" ") } else { format!("`{}`", answer["error"].as_str().unwrap_or("?")) });
    }
    shop.close().await;
    answers
}

#[tokio::test]
async fn every_function_takes_every_form() {
    let site = Site::open().await;
    let mut rows = Vec::new();
    for function in Function::ALL {
        let named = all_of(function);
        let meant = site.send(function, &named, Way::Json).await;
        assert_eq!(meant.is_ok(), function != Function::GetToken, "{meant:?}");
        let mut cells = Vec::new();
        for (form, title) in Way::ALL {
            let heard = site.send(function, &named, form).await;
            assert_eq!(heard, meant, "{function:?} as {title}");
            cells.push(heard.map_or_else(|error| format!("`{error}`"), |_| "same".to_owned()));
        }
        let (optional, needed) = absent(&site, function).await;
        cells.extend([optional, needed]);
        rows.push(cells);
    }
    site.stop.cancel();
    let page = page(&rows, &answers().await);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &page).expect("the page is written");
    }
    let stored = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert_eq!(stored, page, "docs/functions-matrix.md is out of date: UPDATE_DOCS=1 makes it anew");
}

fn page(rows: &[Vec<String>], answers: &[String]) -> String {
    let mut page = INTRODUCTION.to_owned();
    let titles: Vec<&str> = Way::ALL.iter().map(|(_, title)| *title).chain(["left out", "needed left out"]).collect();
    writeln!(page, "| function | {} |\n|---|{}", titles.join(" | "), "---|".repeat(titles.len())).expect("a text");
    for (function, cells) in Function::ALL.into_iter().zip(rows) {
        writeln!(page, "| `{}` | {} |", function.name(), cells.join(" | ")).expect("a text");
    }
    page.push_str(ANSWERS);
    for (function, answer) in Function::ALL.into_iter().zip(answers) {
        let parameters = function.parameters().iter().map(|parameter| {
            let names: Vec<&str> = [parameter.name].iter().chain(parameter.others).copied().collect();
            format!("{}{}", names.join(" = "), if parameter.required { "" } else { "?" })
        });
        let parameters: Vec<String> = parameters.collect();
        writeln!(page, "| `{}` | {} | {answer} |", function.name(), parameters.join(", ")).expect("a text");
    }
    page
}

const INTRODUCTION: &str = "\
# Every function in every form of a call

Made by the test `every_function_takes_every_form`; `UPDATE_DOCS=1 cargo test --test it functions::matrix` makes it anew, and the
test fails while it is out of date.

*same*: what reaches the engine is the very call that plain JSON makes: the function, the client, the record, what is wanted, and for
how long a repeat is the same call. *left out*: the arguments that may be left out, sent in each of twelve spellings of nothing (empty,
a space, `None`, `NONE`, `none`, `null`, `NULL`, `undefined`, `''`, `\"\"`, `#{variable}`, and JSON's own null) as JSON, form and query:
*default* is the call without them. *needed left out*: the others, in the same spellings. A word in backticks is the `error` that is
answered, with `ok` 0 and status 200.

";

const ANSWERS: &str = "
## Arguments and answers

Arguments stand in the order of `args`; `=` joins names of the same one, `?` marks those that may be left out. The answers are those of the
simulated services to one good call, without the `field_…` of records that are told.

| function | arguments | answer |
|---|---|---|
";
