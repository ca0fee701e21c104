//! Who posts webhooks: as cheap as can be, as it shares the processors with what it measures. A process of its own.

use crate::Outcome;
use crate::process::{Helper, quantile};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What is posted, where and how fast.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Storm {
    /// Host and port.
    pub address: String,
    /// The path of each body, which may be of different bridges.
    pub bodies: Vec<(String, String)>,
    /// Connections that are kept open, one request at a time on each.
    pub connections: usize,
    /// How long.
    pub seconds: f64,
    /// Requests a second over all connections; none: as fast as answers come.
    pub rate: Option<f64>,
    /// The first message's id, of eleven digits; each request has the next one.
    pub first_id: u64,
}

/// What came of it. Times are in milliseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Answers {
    /// Answers 200.
    pub taken: u64,
    /// Other answers.
    pub refused: u64,
    /// Answers 200 a second.
    pub rate: f64,
    /// Half of the answers came sooner.
    pub p50: f64,
    /// All but one in a hundred.
    pub p99: f64,
    /// All but one in a thousand.
    pub p999: f64,
    /// Every answer.
    pub max: f64,
}

/// Has a process of its own post.
pub fn post(storm: &Storm) -> Outcome<Answers> {
    Helper::start(&["generator"])?.ask(storm)
}

/// The other process: one storm from the standard input.
pub fn serve() -> Outcome<()> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let storm: Storm = serde_json::from_str(&line)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{}", serde_json::to_string(&runtime.block_on(rage(storm))?)?);
    Ok(())
}

/// A request that is ready but for the message's id.
struct Letter {
    bytes: Vec<u8>,
    id_at: usize,
}

/// Digits of a message's id.
const ID_DIGITS: usize = 11;

impl Letter {
    fn new(path: &str, body: &str) -> Outcome<Letter> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let at = body.find("\"id\":").ok_or("a body has no id")? + 5;
        let is_id = body.as_bytes()[at..].iter().take(ID_DIGITS).all(u8::is_ascii_digit);
        if !is_id {
            return Err("the id of a body has not eleven digits".into());
        }
        Ok(Letter { id_at: head.len() + at, bytes: format!("{head}{body}").into_bytes() })
    }

    fn write(&self, id: u64, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.bytes);
        let mut id = id;
        for place in (self.id_at..self.id_at + ID_DIGITS).rev() {
            out[place] = b'0' + (id % 10) as u8;
            id /= 10;
        }
    }
}

/// What all connections share.
struct Shared {
    storm: Storm,
    letters: Vec<Letter>,
    next: AtomicU64,
    began: Instant,
    is_over: AtomicBool,
}

async fn rage(storm: Storm) -> Outcome<Answers> {
    let letters = storm.bodies.iter().map(|(path, body)| Letter::new(path, body)).collect::<Outcome<Vec<Letter>>>()?;
    let mut streams = Vec::new();
    for _ in 0..storm.connections {
        let stream = TcpStream::connect(&storm.address).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let shared = Arc::new(Shared {
        storm,
        letters,
        next: AtomicU64::new(0),
        began: Instant::now(),
        is_over: AtomicBool::new(false),
    });
    let mut connections = JoinSet::new();
    for (number, stream) in streams.into_iter().enumerate() {
        connections.spawn(converse(Arc::clone(&shared), stream, number));
    }
    tokio::time::sleep(Duration::from_secs_f64(shared.storm.seconds)).await;
    shared.is_over.store(true, Ordering::Relaxed);
    let (mut times, mut refused) = (Vec::new(), 0);
    while let Some(ended) = connections.join_next().await {
        let (own, own_refused) = ended??;
        times.extend(own.into_iter().map(|micros| f64::from(micros) / 1_000.0));
        refused += own_refused;
    }
    let seconds = shared.began.elapsed().as_secs_f64();
    Ok(Answers {
        taken: times.len() as u64,
        refused,
        rate: times.len() as f64 / seconds,
        p50: quantile(&mut times, 0.5),
        p99: quantile(&mut times, 0.99),
        p999: quantile(&mut times, 0.999),
        max: quantile(&mut times, 1.0),
    })
}

/// One connection: how long each answer 200 took in microseconds, and how many others there were.
async fn converse(shared: Arc<Shared>, mut stream: TcpStream, number: usize) -> Outcome<(Vec<u32>, u64)> {
    let (mut times, mut refused) = (Vec::with_capacity(1 << 16), 0);
    let (mut out, mut input) = (Vec::new(), Vec::new());
    for turn in 0_u32.. {
        let Some(asked_at) = shared.turn(number, turn).await else { break };
        let place = shared.next.fetch_add(1, Ordering::Relaxed);
        let letter = &shared.letters[place as usize % shared.letters.len()];
        letter.write(shared.storm.first_id + place, &mut out);
        stream.write_all(&out).await?;
        match read_answer(&mut stream, &mut input).await? {
            true => times.push(u32::try_from(asked_at.elapsed().as_micros()).unwrap_or(u32::MAX)),
            false => refused += 1,
        }
    }
    Ok((times, refused))
}

impl Shared {
    /// Waits for a connection's next turn: from when on its answer is waited for; none at the end. Who is late because
    /// of the answer before has waited since the turn was due.
    async fn turn(&self, number: usize, turn: u32) -> Option<Instant> {
        if let Some(rate) = self.storm.rate {
            let place = f64::from(turn) * self.storm.connections as f64 + number as f64;
            let due = self.began + Duration::from_secs_f64(place / rate);
            let is_late = Instant::now() >= due;
            if !is_late {
                tokio::time::sleep_until(due.into()).await;
            }
            let is_over = self.is_over.load(Ordering::Relaxed);
            return (!is_over).then(|| if is_late { due } else { Instant::now() });
        }
        (!self.is_over.load(Ordering::Relaxed)).then(Instant::now)
    }
}

/// Reads one answer to its end; true for 200.
async fn read_answer(stream: &mut TcpStream, input: &mut Vec<u8>) -> Outcome<bool> {
    input.clear();
    loop {
        if stream.read_buf(input).await? == 0 {
            return Err("the connection was closed".into());
        }
        let Some(head) = input.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        if input.len() >= head + 4 + length(&input[..head]) {
            return Ok(input.starts_with(b"HTTP/1.1 200"));
        }
    }
}

/// The length of the body that a head announces.
fn length(head: &[u8]) -> usize {
    let mut lines = head.split(|byte| *byte == b'\n');
    let is_length = |line: &&[u8]| line.len() > 15 && line[..15].eq_ignore_ascii_case(b"content-length:");
    let line = lines.find(is_length).unwrap_or_default();
    let digits = line.iter().filter(|byte| byte.is_ascii_digit());
    digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}
