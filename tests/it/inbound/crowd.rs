//! Thousands of idle connections: few are held, and an honest webhook comes through.

use super::{DEADLINE, HOOK, Mood, Site, message, post, read_to_end, status, within};
use salebridge::inbound::{BodyLimits, ServerLimits};
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Connections of the crowd, where the process may open as many files.
const CROWD: usize = 2_000;
/// Connections that the server holds.
const HELD_MAX: usize = 64;

/// A crowd that leaves half of the files to the other tests of this process.
fn crowd() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").expect("the process's limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit of files");
    let files = line.split_whitespace().nth(3).and_then(|files| files.parse().ok()).unwrap_or(usize::MAX);
    CROWD.min(files / 2)
}

/// Connections to this port that somebody has accepted: those that wait in the listen queue have no
/// inode yet (proc_pid_net(5), the table `tcp`).
fn held(port: u16) -> usize {
    let table = fs::read_to_string("/proc/self/net/tcp").expect("the table of connections");
    let port = format!(":{port:04X}");
    let is_held = |line: &&str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let listens = columns.get(3) == Some(&"0A");
        !listens && columns.get(1).is_some_and(|local| local.ends_with(&port)) && columns.get(9) != Some(&"0")
    };
    table.lines().skip(1).filter(is_held).count()
}

/// Connects, sends the beginning of a head or nothing, and waits until it is shown the door.
async fn idle(address: SocketAddr, number: usize) {
    // The listen queue is shorter than the crowd: whoever finds it full is let in later or never.
    let Ok(Ok(mut stream)) = tokio::time::timeout(DEADLINE, TcpStream::connect(address)).await else { return };
    if number.is_multiple_of(2) && stream.write_all(b"POST /hooks/salebot/shop/").await.is_err() {
        return;
    }
    let mut bytes = Vec::new();
    // A reset is a way to be shown the door as well.
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut bytes)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_crowd_is_bounded_and_an_honest_webhook_comes_through() {
    let limits = ServerLimits { connections_max: HELD_MAX, head_time_max_ms: 100, ..ServerLimits::default() };
    let site = Arc::new(Site::with(Mood::Takes, BodyLimits::default(), limits).await);
    let (address, port) = (site.address, site.address.port());
    let mut idlers = JoinSet::new();
    for number in 0..crowd() {
        idlers.spawn(idle(address, number));
    }
    within(async {
        while held(port) < HELD_MAX {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let honest = {
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let mut stream = site.connect().await;
            stream.write_all(&post(HOOK, &message(7, 5))).await.expect("the server reads");
            status(&read_to_end(stream).await)
        })
    };
    let (began, mut most) = (Instant::now(), 0);
    while !honest.is_finished() && began.elapsed() < DEADLINE {
        most = most.max(held(port));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(within(honest).await.expect("no panic"), 200);
    // The table is read while it changes, so those who leave and those who follow may both stand in it.
    assert!((1..=2 * HELD_MAX).contains(&most), "{most} connections were held");
    assert_eq!(site.store.rows().len(), 1);
    idlers.shutdown().await;
    Arc::into_inner(site).expect("nobody else has it").close().await;
}
