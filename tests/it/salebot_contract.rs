//! The adapter and the simulated project agree, under every plausible answer to what is not documented.

use crate::salebot_server::lane;
use crate::watch::SystemEnv;
use async_trait::async_trait;
use rstest::rstest;
use salebridge::core::fault::FaultKind;
use salebridge::core::flex::Notices;
use salebridge::core::id::{ClientId, OrderId, StateId};
use salebridge::core::model::{Event, Message, OrderStatus};
use salebridge::inbound::SalebotDecoder;
use salebridge::ports::remote::{ClientAddress, Decoder, NewOrder, Priority, Salebot as _, Wanted};
use salebridge::remote::http::{RawAnswer, RawRequest, Transport, TransportError};
use salebridge::remote::salebot::{DealLanguage, SalebotApi, SalebotOptions as ApiOptions};
use salebridge::sandbox::http::Request;
use salebridge::sandbox::salebot::options::*;
use salebridge::sandbox::salebot::state::{Attachment, OrderStatus as Closed};
use salebridge::sandbox::salebot::{NewClient, Salebot};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

const NOW_MS: i64 = 1_700_000_000_000;
const POLL: Priority = Priority::Poll;
const UNKNOWN: ClientId = ClientId(999);

/// Carries requests to the simulation without a socket.
struct Direct(Arc<Mutex<Salebot>>);

#[async_trait]
impl Transport for Direct {
    async fn send(&self, request: RawRequest) -> Result<RawAnswer, TransportError> {
        let url = reqwest::Url::parse(request.url.expose_secret()).expect("an address");
        let asked = Request {
            method: request.method.name().to_owned(),
            path: url.path().to_owned(),
            query: url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: request.body,
        };
        let answer = self.0.lock().expect("not poisoned").handle(NOW_MS, &asked);
        Ok(RawAnswer { status: answer.status, headers: answer.headers, body: answer.body })
    }
}

struct World {
    project: Arc<Mutex<Salebot>>,
    api: SalebotApi,
    client: ClientId,
}

impl World {
    fn new(options: SalebotOptions, key: &str) -> World {
        let language = match options.installation {
            Installation::Russian => DealLanguage::Russian,
            Installation::International => DealLanguage::English,
        };
        let mut project = Salebot::new(options);
        let client = project.populate(NOW_MS, 3)[0];
        let project = Arc::new(Mutex::new(project));
        let options = ApiOptions {
            url: "https://salebot.example.test".to_owned(),
            api_key: SecretString::from(key),
            language,
            notices: Notices::default(),
            lane: lane("Salebot"),
            save_lane: lane("Salebot variables"),
        };
        let api = SalebotApi::new(options, Arc::new(Direct(project.clone())), Arc::new(SystemEnv));
        World { project, api, client: ClientId(u64::try_from(client).expect("above zero")) }
    }

    async fn check_variables(&self) {
        let (api, client) = (&self.api, self.client);
        let values = [("city".to_owned(), "Тверь".to_owned()), ("plan".to_owned(), "5".to_owned())].into();
        assert_eq!(api.save_variables(&[client], &values, POLL).await, Ok(()));
        let read = api.variables(client, POLL).await.expect("read").expect("it is there");
        for (name, value) in [("city", "Тверь"), ("plan", "5"), ("phone", "79990000000")] {
            assert_eq!(read.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!read.values().any(|value| value == "NONE" || value.is_empty()));
        assert_eq!(api.save_variables(&[client], &[("city".to_owned(), String::new())].into(), POLL).await, Ok(()));
        let read = api.variables(client, POLL).await.expect("read").expect("it is there");
        assert_eq!((read.get("city"), read.contains_key("plan")), (None, true));
        assert_eq!(api.variables(UNKNOWN, POLL).await, Ok(None));
    }

    async fn check_finders(&self) {
        let (api, client) = (&self.api, self.client);
        let values = ["+79990000000", "79990000000"].map(str::to_owned);
        assert_eq!(api.find_by_values("phone", &values, POLL).await, Ok(vec![client]));
        assert_eq!(api.find_by_values("phone", &["70000000000".to_owned()], POLL).await, Ok(Vec::new()));
        let found = api.find_by_platform(&["600000001".to_owned()], "some_bot", POLL).await.expect("found");
        assert_eq!(found.iter().map(|found| found.client.id).collect::<Vec<_>>(), [client]);
        assert_eq!(api.find_by_platform(&["1".to_owned()], "some_bot", POLL).await, Ok(Vec::new()));
        let page = api.clients(0, 500, true, POLL).await.expect("a page");
        assert_eq!((page.received, page.rows.len(), page.broken.len()), (4, 4, 0));
        assert_eq!(page.rows[0].client.id, client);
        assert!(page.rows.iter().all(|row| row.updated_at.is_some()));
        let asked = [
            ClientAddress { platform_id: "600000001".to_owned(), group_id: "some_bot".to_owned(), client_type: 1 },
            ClientAddress { platform_id: "79990000050".to_owned(), group_id: "34810".to_owned(), client_type: 6 },
            ClientAddress { platform_id: "79990000051".to_owned(), group_id: "34810".to_owned(), client_type: 6 },
        ];
        let loaded = api.load_clients(&asked, POLL).await;
        assert_eq!(loaded[0], Ok(client));
        assert!(loaded[1].is_ok() && loaded[2].is_ok() && loaded[1] != loaded[2], "{loaded:?}");
        assert_eq!(api.load_clients(&asked, POLL).await, loaded);
    }

    async fn check_orders(&self) {
        let (api, client) = (&self.api, self.client);
        let states: Vec<StateId> = self.project.lock().expect("not poisoned").project().funnels[0]
            .stages
            .iter()
            .map(|stage| StateId(u64::try_from(stage.id).expect("above zero")))
            .collect();
        let new = NewOrder {
            client,
            name: "Заказ".to_owned(),
            description: "lead 301".to_owned(),
            budget: 1_500,
            state: Some(states[0]),
        };
        let order = api.create_order(&new, POLL).await.expect("made");
        assert_eq!(api.current_order(client, POLL).await, Ok(Some(order)));
        assert!(api.active_orders(client, POLL).await.expect("listed").contains(&order));
        self.check_status(client, order).await;
        let changes = [("name", "Другой"), ("budget", "2000"), ("source", "ads")];
        let changes = changes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(api.set_order_variables(client, order, &changes, POLL).await, Ok(()));
        assert_eq!(api.set_order_state(client, states[1], POLL).await, Ok(()));
        let names = BTreeSet::from(["source".to_owned()]);
        let read = api.order(client, order, Wanted::Named(&names), POLL).await.expect("read").expect("it is there");
        assert_eq!(read.state, Some(states[1]));
        let seen = ["name", "description", "budget", "source"].map(|name| read.variables.get(name).map(String::as_str));
        assert_eq!(seen, [Some("Другой"), Some("lead 301"), Some("2000"), Some("ads")]);
        let wrong = OrderId(999_999);
        assert_eq!(api.order(client, wrong, Wanted::Named(&names), POLL).await, Ok(None));
        let written = api.set_order_variables(client, wrong, &changes, POLL).await;
        assert_eq!(written.expect_err("not there").kind, FaultKind::Gone);
        let unknown = NewOrder { client: UNKNOWN, ..new };
        assert_eq!(api.create_order(&unknown, POLL).await.expect_err("not there").kind, FaultKind::Gone);
        assert_eq!(api.active_orders(UNKNOWN, POLL).await.expect_err("not there").kind, FaultKind::Gone);
    }

    async fn check_status(&self, client: ClientId, order: OrderId) {
        let id = i64::try_from(order.0).expect("small");
        let close = |status| {
            let mut project = self.project.lock().expect("not poisoned");
            assert!(project.close_order(id, status, "") || project.restore_order(id));
        };
        let stands = [
            (Closed::Won, Some(OrderStatus::Won)),
            (Closed::Lost, Some(OrderStatus::Lost)),
            (Closed::Archived, None),
            (Closed::Active, Some(OrderStatus::Active)),
        ];
        for (closed, expected) in stands {
            close(closed);
            assert_eq!(self.api.order_status(client, order, POLL).await, Ok(expected));
        }
    }

    async fn check_dialogue(&self) {
        let id = i64::try_from(self.client.0).expect("small");
        let file = Attachment { url: "https://files.example.test/1".to_owned(), kind: "image".to_owned() };
        {
            let mut project = self.project.lock().expect("not poisoned");
            project.take_webhooks();
            project.person_writes(NOW_MS, id, Some("Здравствуйте"), &[]);
            project.person_writes(NOW_MS, id, None, &[file]);
            project.bot_answers(NOW_MS, id, "Добрый день", 390);
            project.operator_answers(NOW_MS, id, "Минуту");
            project.system_notice(NOW_MS, id, "new_chat_member");
        }
        assert_eq!(self.api.callback(self.client, "amo_state_changed 61:1001", POLL).await, Ok(()));
        let missing = self.api.callback(UNKNOWN, "amo_x", POLL).await;
        assert_eq!(missing.expect_err("not there").kind, FaultKind::Gone);
        let seen =
            |message: &Message| (message.text.clone(), message.incoming, message.block, message.attachments.len());
        let text = |text: &str| Some(text.to_owned());
        let expected = vec![
            (text("Здравствуйте"), true, None, 0),
            (None, true, None, 1),
            (text("Добрый день"), false, Some(390), 0),
            (text("Минуту"), false, None, 0),
        ];
        let lines = self.api.history(self.client, POLL).await.expect("a history");
        let spoken: Vec<_> = lines.iter().filter(|line| !line.is_notice).map(|line| seen(&line.message)).collect();
        assert_eq!(spoken, expected);
        assert!(lines.iter().all(|line| line.at.is_some()));
        let decoder = SalebotDecoder::new(Notices::default());
        let bodies = self.project.lock().expect("not poisoned").take_webhooks();
        let pushed: Vec<_> = bodies
            .iter()
            .filter_map(|webhook| match decoder.decode(&webhook.body).expect("it can be read") {
                Event::Message(message) => Some(seen(&message)),
                Event::Notice { .. } | Event::Nothing { .. } => None,
            })
            .collect();
        assert_eq!(pushed, expected);
    }
}

fn with(change: impl FnOnce(&mut SalebotOptions)) -> SalebotOptions {
    let mut options = SalebotOptions::default();
    change(&mut options);
    options
}

#[rstest]
#[case(with(|_| {}))]
#[case(with(|options| options.installation = Installation::International))]
#[case(with(|options| options.acknowledgement = Acknowledgement::Text))]
#[case(with(|options| options.client_not_found = ClientNotFound::With404))]
#[case(with(|options| options.unknown_variables = UnknownVariables::NotFound))]
#[case(with(|options| options.unknown_variables = UnknownVariables::EmptyObject))]
#[case(with(|options| options.variables_form = VariablesForm::Wrapped))]
#[case(with(|options| options.absent = AbsentForm::Null))]
#[case(with(|options| options.absent = AbsentForm::EmptyText))]
#[case(with(|options| options.cleared = ClearedForm::EmptyText))]
#[case(with(|options| options.time_form = TimeForm::NaiveText))]
#[case(with(|options| options.number_form = NumberForm::Text))]
#[case(with(|options| options.platform_miss = PlatformMiss::StatusInBody))]
#[case(with(|options| options.no_deal = NoDeal::NotFound))]
#[case(with(|options| options.order_variables = OrderVariables::Named))]
#[case(with(|options| options.order_variables = OrderVariables::All))]
#[case(with(|options| options.whatsapp_suffix = true))]
#[case(with(|options| options.history_newest_first = false))]
#[case(with(|options| options.no_error = NoErrorForm::TrueText))]
#[case(with(|options| options.no_error = NoErrorForm::FalseText))]
#[case(with(|options| options.webhook.flags = FlagForm::Boolean))]
#[case(with(|options| options.webhook.flags = FlagForm::Text))]
#[case(with(|options| options.webhook.variables = false))]
#[case(with(|options| {
    let form = AttachmentsForm { empty: EmptyAttachments::Null, filled: FilledAttachments::PythonList };
    (options.webhook.attachments, options.history_attachments) = (form, form);
}))]
#[case(with(|options| {
    let form = AttachmentsForm { empty: EmptyAttachments::Object, filled: FilledAttachments::Objects };
    (options.webhook.attachments, options.history_attachments) = (form, form);
}))]
#[tokio::test]
async fn they_agree(#[case] options: SalebotOptions) {
    let world = World::new(options, DEFAULT_KEY);
    assert_eq!(world.api.current_order(world.client, POLL).await, Ok(None));
    world.check_variables().await;
    world.check_finders().await;
    world.check_orders().await;
    world.check_dialogue().await;
}

#[rstest]
#[case(Refusal::NotFound)]
#[case(Refusal::Unauthorized)]
#[case(Refusal::Forbidden)]
#[case(Refusal::StatusInBody)]
#[tokio::test]
async fn a_wrong_key_is_never_an_empty_project(#[case] refusal: Refusal) {
    let options = || with(|options| options.wrong_key = refusal);
    let api = || World::new(options(), "0badc0de").api;
    let (client, values) = (ClientId(811_000_001), ["x".to_owned()]);
    let faults = [
        api().variables(client, POLL).await.expect_err("refused"),
        api().find_by_values("phone", &values, POLL).await.expect_err("refused"),
        api().find_by_platform(&values, "some_bot", POLL).await.expect_err("refused"),
        api().clients(0, 500, true, POLL).await.expect_err("refused"),
        api().history(client, POLL).await.expect_err("refused"),
        api().active_orders(client, POLL).await.expect_err("refused"),
        api().current_order(client, POLL).await.expect_err("refused"),
        api().order_status(client, OrderId(1), POLL).await.expect_err("refused"),
        api().order(client, OrderId(1), Wanted::Anything, POLL).await.expect_err("refused"),
        api().callback(client, "x", POLL).await.expect_err("refused"),
    ];
    for fault in faults {
        assert_eq!(fault.kind, FaultKind::Auth, "{fault}");
    }
}

#[tokio::test]
async fn group_chats_are_told_from_people() {
    let world = World::new(SalebotOptions::default(), DEFAULT_KEY);
    {
        let mut project = world.project.lock().expect("not poisoned");
        project.take_webhooks();
        let chat = project.add_group_chat(NOW_MS, "some_bot", 100_500, "A group");
        let new = NewClient { client_type: 1, platform_id: "700", group: "some_bot", name: None };
        let person = project.add_client(NOW_MS, new);
        project.person_writes(NOW_MS, chat, Some("x"), &[]);
        project.person_writes(NOW_MS, person, Some("x"), &[]);
    }
    let decoder = SalebotDecoder::new(Notices::default());
    let bodies = world.project.lock().expect("not poisoned").take_webhooks();
    let groups: Vec<bool> = bodies
        .iter()
        .filter_map(|webhook| match decoder.decode(&webhook.body).expect("it can be read") {
            Event::Message(message) => Some(message.client.is_group_chat()),
            Event::Notice { .. } | Event::Nothing { .. } => None,
        })
        .collect();
    assert_eq!(groups, [true, false]);
}
