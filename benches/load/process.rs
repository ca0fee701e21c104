//! A process that was started here: what it costs, and its end.

use crate::Outcome;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Ticks of a second in `/proc/PID/stat`: 100 on every Linux (proc(5), USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process holds in memory, in MB of 2^20 bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Now.
    pub now: f64,
    /// At most so far.
    pub peak: f64,
}

/// A process; killed when it is dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts it.
    pub fn start(command: &mut Command) -> Outcome<Process> {
        Ok(Process { child: command.spawn()? })
    }

    /// Seconds of processor time so far, of all its threads, also after its end.
    pub fn cpu_s(&self) -> Outcome<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in brackets may hold anything; behind it the state is the first field.
        let (_, fields) = stat.rsplit_once(')').ok_or("odd /proc/PID/stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
        Ok((ticks(11) + ticks(12)) / TICKS_PER_SECOND)
    }

    /// What it holds; nothing after its end.
    pub fn memory(&self) -> Memory {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<f64>().unwrap_or_default() / 1024.0
        };
        Memory { now: of("VmRSS:"), peak: of("VmHWM:") }
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.child.id())).map(Iterator::count).unwrap_or_default()
    }

    /// True once it has ended; nobody has asked for its status yet.
    pub fn has_ended(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, fields)| fields.trim_start().starts_with('Z'))
    }

    /// Ends it with no chance to tidy up.
    pub fn kill(&mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits for its end; its exit code.
    pub fn end(mut self) -> Outcome<Option<i32>> {
        Ok(self.child.wait()?.code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This program in another role, spoken to by lines of JSON.
pub struct Helper {
    /// The process.
    pub process: Process,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts a role.
    pub fn start(arguments: &[&str]) -> Outcome<Helper> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--role").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command)?;
        let (orders, answers) = (process.child.stdin.take(), process.child.stdout.take());
        let (orders, answers) = (orders.ok_or("no pipe")?, BufReader::new(answers.ok_or("no pipe")?));
        Ok(Helper { process, orders, answers })
    }

    /// Says a line and waits for the answer.
    pub fn ask<A: DeserializeOwned>(&mut self, order: &impl Serialize) -> Outcome<A> {
        self.tell(order)?;
        self.hear()
    }

    /// Says a line.
    pub fn tell(&mut self, order: &impl Serialize) -> Outcome<()> {
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        self.orders.write_all(line.as_bytes())?;
        Ok(self.orders.flush()?)
    }

    /// Waits for a line.
    pub fn hear<A: DeserializeOwned>(&mut self) -> Outcome<A> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("a helper of the measurement ended early".into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

/// Waits until it is so, looking every `look`; how long that took.
pub fn until(what: &str, deadline: Duration, look: Duration, mut holds: impl FnMut() -> bool) -> Outcome<Duration> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > deadline {
            return Err(format!("not so within {} s: {what}", deadline.as_secs()).into());
        }
        std::thread::sleep(look);
    }
    Ok(began.elapsed())
}

/// The value below which this share of the values lies; 0 of none. Sorts them.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * share).ceil() as usize;
    values.get(place.saturating_sub(1)).copied().unwrap_or_default()
}
