//! The key stands in every address and must stand nowhere else.

use crate::salebot_server::{KEY, Project, api, lane};
use crate::watch::Log;
use salebridge::core::fault::Fault;
use salebridge::core::id::{ClientId, OrderId, StateId};
use salebridge::ports::remote::{ClientAddress, NewOrder, Priority, Salebot, Wanted};
use salebridge::remote::salebot::{DealLanguage, SalebotApi};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// A text of a person, which no log may hold either.
const LETTER: &str = "very-private-letter";
const POLL: Priority = Priority::Poll;

/// Every action once; the faults of those that failed.
async fn all_actions(api: &SalebotApi) -> Vec<Fault> {
    let (client, order) = (ClientId(5), OrderId(301));
    let variables = [("note".to_owned(), LETTER.to_owned())].into();
    let new = NewOrder {
        client,
        name: LETTER.to_owned(),
        description: LETTER.to_owned(),
        budget: 1,
        state: Some(StateId(37)),
    };
    let address = ClientAddress { platform_id: LETTER.to_owned(), group_id: "b".to_owned(), client_type: 1 };
    let texts = [LETTER.to_owned()];
    let mut faults = vec![
        api.variables(client, POLL).await.err(),
        api.save_variables(&[client], &variables, POLL).await.err(),
        api.find_by_values("note", &texts, POLL).await.err(),
        api.find_by_platform(&texts, "b", POLL).await.err(),
        api.clients(0, 1, true, POLL).await.err(),
        api.history(client, POLL).await.err(),
        api.active_orders(client, POLL).await.err(),
        api.current_order(client, POLL).await.err(),
        api.order(client, order, Wanted::Own, POLL).await.err(),
        api.create_order(&new, POLL).await.err(),
        api.set_order_variables(client, order, &variables, POLL).await.err(),
        api.set_order_state(client, StateId(37), POLL).await.err(),
        api.callback(client, LETTER, POLL).await.err(),
        api.channels(POLL).await.err(),
    ];
    faults.extend(api.load_clients(&[address], POLL).await.into_iter().map(Result::err));
    faults.into_iter().flatten().collect()
}

fn assert_clean(faults: &[Fault], api: &SalebotApi, log: &Log) {
    assert!(!faults.is_empty(), "the case is a failure");
    let mut told = format!("{api:?}\n{}", log.text());
    for fault in faults {
        told.push_str(&format!("{fault}\n{fault:?}\n{}\n", serde_json::to_string(fault).expect("a fault is data")));
    }
    for secret in [KEY, LETTER] {
        let place = told.find(secret).map(|at| told[at.saturating_sub(200)..at].to_owned());
        assert_eq!(place, None, "a secret follows this");
    }
}

#[tokio::test]
async fn refusals_never_tell_the_key() {
    let echo = format!(r#"{{"status":"error","message":"{LETTER} at /api/{KEY}/callback"}}"#);
    let html = format!("<html>/api/{KEY}/{LETTER}</html>");
    let plain = format!("{LETTER} {KEY}");
    let answers: [(u16, &str); 9] = [
        (200, &echo),
        (200, &html),
        (200, r#"{"status":"success","#),
        (400, &echo),
        (401, &echo),
        (404, &html),
        (422, &plain),
        (500, &html),
        (302, ""),
    ];
    for (status, body) in answers {
        let (log, guard) = Log::start();
        let project = Project::answering(&[(status, body); 20]).await;
        let faults = all_actions(&project.api).await;
        drop(guard);
        assert!(log.text().contains("POST create_order") || status == 401 || status == 404, "the log was collected");
        assert_clean(&faults, &project.api, &log);
    }
}

#[tokio::test]
async fn a_limit_never_tells_the_key() {
    let (log, _guard) = Log::start();
    let project = Project::answering(&[(429, KEY)]).await;
    let fault = project.api.callback(ClientId(5), LETTER, POLL).await.expect_err("the case is a failure");
    assert_clean(&[fault], &project.api, &log);
}

#[tokio::test]
async fn lost_connections_never_tell_the_key() {
    let (log, _guard) = Log::start();
    let refusing = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", refusing.local_addr().expect("an address"));
    drop(refusing);
    let hanging_up = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let other_url = format!("http://{}", hanging_up.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = hanging_up.accept().await {
            // Some of the request, then the end: it may have arrived.
            let _ = stream.read(&mut [0; 64]).await;
        }
    });
    for url in [url, other_url, "http://no host/".to_owned(), "gopher://127.0.0.1".to_owned()] {
        let api = api(url, DealLanguage::Russian, KEY, &lane("Salebot"), &lane("Salebot variables"));
        let faults = all_actions(&api).await;
        assert_eq!(faults.len(), 15);
        assert_clean(&faults, &api, &log);
    }
}
