//! The bare gateway that webhooks are measured beside: HTTP, one table with one row a body, and one thread that writes
//! whatever waits in one synced transaction. It decides nothing, checks nothing and knows no message twice.

use crate::Outcome;
use axum::body::{Body, to_bytes};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rusqlite::{Connection, params};
use std::convert::Infallible;
use std::path::Path;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Bodies that share one commit at most: as many as in the daemon.
const BATCH_MAX: usize = 512;
/// Largest body.
const BODY_MAX: usize = 1 << 20;

/// A body and who waits for its commit.
type Job = (Vec<u8>, oneshot::Sender<()>);

/// The other process: listens, tells its port, and serves until it is killed.
pub fn serve(folder: &str) -> Outcome<()> {
    let connection = opened(&Path::new(folder).join("bare.db"))?;
    let (queue, jobs) = mpsc::channel(1024);
    std::thread::spawn(move || write(connection, jobs));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(listen(queue))
}

fn opened(path: &Path) -> Outcome<Connection> {
    let connection = Connection::open(path)?;
    // As the daemon opens its own file.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8000; \
         PRAGMA journal_size_limit = 67108864; \
         CREATE TABLE inbox (id INTEGER PRIMARY KEY AUTOINCREMENT, received_at INTEGER NOT NULL, body BLOB) STRICT;",
    )?;
    Ok(connection)
}

fn write(connection: Connection, mut jobs: mpsc::Receiver<Job>) -> Outcome<()> {
    let began = Instant::now();
    let mut insert = connection.prepare("INSERT INTO inbox (received_at, body) VALUES (?1, ?2)")?;
    while let Some(first) = jobs.blocking_recv() {
        let mut waiting = vec![first];
        while waiting.len() < BATCH_MAX
            && let Ok(job) = jobs.try_recv()
        {
            waiting.push(job);
        }
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for (body, _) in &waiting {
            insert.execute(params![i64::try_from(began.elapsed().as_millis())?, body])?;
        }
        connection.execute_batch("COMMIT")?;
        waiting.into_iter().for_each(|(_, caller)| {
            // Who hung up hears nothing.
            let _ = caller.send(());
        });
    }
    Ok(())
}

async fn listen(queue: mpsc::Sender<Job>) -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("\"{}\"", listener.local_addr()?);
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let queue = queue.clone();
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            let queue = queue.clone();
            async move { Ok::<_, Infallible>(take(&queue, request).await) }
        });
        connections.spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await });
        while connections.try_join_next().is_some() {}
    }
}

async fn take(queue: &mpsc::Sender<Job>, request: hyper::Request<Incoming>) -> hyper::Response<Body> {
    let Ok(body) = to_bytes(Body::new(request.into_body()), BODY_MAX).await else { return status(413) };
    let (caller, stored) = oneshot::channel();
    if queue.send((body.to_vec(), caller)).await.is_err() || stored.await.is_err() {
        return status(503);
    }
    status(200)
}

fn status(code: u16) -> hyper::Response<Body> {
    let mut response = hyper::Response::new(Body::from("ok\n"));
    *response.status_mut() = hyper::StatusCode::from_u16(code).unwrap_or_default();
    response
}
