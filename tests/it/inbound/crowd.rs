//! Thousands of idle connections: few are held, and an honest webhook comes through.

use super::{DEADLINE, HOOK, Mood, Site, message, post, status};
use salebridge::inbound::{BodyLimits, ServerLimits};
use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Time for a head. On a busy machine an honest sender may pause between connecting and writing.
const HEAD_TIME_MS: u64 = 1_000;
/// Connections that the server holds.
const HELD_MAX: usize = 64;

/// How long an honest sender waits for an answer before it tries again: with a full listen queue it may believe
/// itself connected while the other side knows nothing of it.
const PATIENCE: Duration = Duration::from_secs(20);
/// The table of connections is read while it changes, so that those who left and those who followed them may
/// stand in it side by side: the least of so many looks in a row counts.
const SAMPLES: usize = 5;

/// As many of these as leave half of the files to the other tests of this process.
fn allowed(crowd: usize) -> usize {
    let limits = fs::read_to_string("/proc/self/limits").expect("the process's limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit of files");
    let files = line.split_whitespace().nth(3).and_then(|files| files.parse().ok()).unwrap_or(usize::MAX);
    crowd.min(files / 2)
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

/// The answer to an honest webhook; empty if there was none.
async fn delivered(site: &Site) -> String {
    let Ok(mut stream) = TcpStream::connect(site.address).await else { return String::new() };
    if stream.write_all(&post(HOOK, &message(7, 5))).await.is_err() {
        return String::new();
    }
    let mut answer = String::new();
    // A reset is no answer.
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_crowd_is_bounded_and_an_honest_webhook_comes_through() {
    an_honest_webhook_comes_through_a_crowd_of(800, HEAD_TIME_MS).await;
}

#[ignore = "ten thousand connections take a minute and most of the files that a process may open"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_ten_thousand_is_bounded_too() {
    an_honest_webhook_comes_through_a_crowd_of(10_000, HEAD_TIME_MS / 4).await;
}

async fn an_honest_webhook_comes_through_a_crowd_of(crowd: usize, head_time_max_ms: u64) {
    let crowd = allowed(crowd);
    let limits = ServerLimits { connections_max: HELD_MAX, head_time_max_ms, ..ServerLimits::default() };
    let site = Arc::new(Site::with(Mood::Takes, BodyLimits::default(), limits).await);
    let (address, port) = (site.address, site.address.port());
    let mut idlers = JoinSet::new();
    for number in 0..crowd {
        idlers.spawn(idle(address, number));
    }
    let began = Instant::now();
    while held(port) < HELD_MAX {
        assert!(began.elapsed() < DEADLINE, "the crowd comes in time");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let honest = {
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            while began.elapsed() < DEADLINE {
                if let Ok(answer) = tokio::time::timeout(PATIENCE, delivered(&site)).await
                    && !answer.is_empty()
                {
                    return status(&answer);
                }
            }
            panic!("nobody answers an honest sender");
        })
    };
    let (mut most, mut samples) = (0, VecDeque::new());
    while !honest.is_finished() {
        samples.push_back(held(port));
        if samples.len() == SAMPLES {
            most = most.max(samples.iter().copied().min().unwrap_or_default());
            samples.pop_front();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(honest.await.expect("no panic"), 200);
    assert!(most <= 2 * HELD_MAX, "{most} connections were held");
    assert_eq!(site.store.rows().len(), 1);
    idlers.shutdown().await;
    Arc::into_inner(site).expect("nobody else has it").close().await;
}
