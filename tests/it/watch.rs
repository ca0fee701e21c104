//! The real clock, and everything that is logged.

use async_trait::async_trait;
use salebridge::core::time::Millis;
use salebridge::ports::env::Env;
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

/// The system's clock, and no chance.
pub struct SystemEnv;

#[async_trait]
impl Env for SystemEnv {
    fn now(&self) -> Millis {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        Millis(i64::try_from(elapsed.as_millis()).expect("the clock is before the year 292 million"))
    }

    async fn sleep(&self, millis: i64) {
        tokio::time::sleep(Duration::from_millis(u64::try_from(millis).unwrap_or(0))).await;
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}

/// Somebody who would listen to everything and is asked by nobody. Without one a line that a thread without a subscriber
/// comes by for the first time, in the moment in which another thread gets one, is taken for one that nobody wants.
static AWAKE: LazyLock<Dispatch> =
    LazyLock::new(|| Dispatch::new(tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).finish()));

/// Collects what this thread logs, at every level, from every crate.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Starts collecting until the guard is dropped. Tasks of a current-thread runtime are included.
    pub fn start() -> (Log, tracing::subscriber::DefaultGuard) {
        LazyLock::force(&AWAKE);
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_ansi(false)
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}
