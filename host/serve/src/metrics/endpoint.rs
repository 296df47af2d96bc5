//! Where the figures are fetched: HTTP, one path, for reading.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::daemon::Daemon;
use crate::server::ServeError;

/// The kind of document that the figures are.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The kind of document that everything else is.
const PLAIN: &str = "text/plain; charset=utf-8";
/// Those who fetch at once. Who collects figures is one or two.
const READERS: usize = 16;
/// How long a request may take to come.
const REQUEST_WAIT: Duration = Duration::from_secs(10);
/// How long one who fetches may take in all.
const READER_WAIT: Duration = Duration::from_secs(60);
/// How long no one is taken after one could not be.
const REST: Duration = Duration::from_millis(100);

/// A port where the figures can be fetched.
pub(crate) struct Endpoint(TcpListener);

impl Endpoint {
    /// Listens at an address of this machine, if there is to be one.
    ///
    /// # Errors
    /// [`ServeError::Metrics`].
    pub(crate) async fn open(address: Option<SocketAddr>) -> Result<Option<Self>, ServeError> {
        let Some(address) = address else { return Ok(None) };
        let listener = TcpListener::bind(address).await;
        listener
            .map(|listener| Some(Self(listener)))
            .map_err(|source| ServeError::Metrics { address, source })
    }
}

/// Answers until the daemon ends.
pub(crate) async fn serve(daemon: Arc<Daemon>, Endpoint(listener): Endpoint) {
    let places = Arc::new(Semaphore::new(READERS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let came = tokio::select! {
            came = listener.accept() => came,
            () = daemon.operator.stopping() => return,
        };
        let socket = match came {
            Ok((socket, _)) => TokioIo::new(socket),
            Err(error) => {
                tracing::warn!(%error, "figures cannot be fetched");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let daemon = Arc::clone(&daemon);
        tokio::spawn(async move {
            let answer = service_fn(|request: Request<Incoming>| answer(&daemon, request));
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(REQUEST_WAIT);
            let served = tokio::time::timeout(READER_WAIT, http.serve_connection(socket, answer)).await;
            if let Ok(Err(error)) = served {
                tracing::debug!(%error, "one who fetched figures broke off");
            }
            drop(place);
        });
    }
}

async fn answer(daemon: &Daemon, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (method, path) = (request.method(), request.uri().path());
    Ok(match (path, method) {
        ("/metrics", &Method::GET | &Method::HEAD) => match daemon
            .shared
            .metrics
            .text(&daemon.operator.host)
            .await
        {
            Ok(text) => document(StatusCode::OK, OPENMETRICS, text),
            Err(error) => {
                tracing::warn!(%error, "there are no figures");
                document(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, "the state cannot be read\n".to_owned())
            }
        },
        ("/metrics", _) => {
            let mut refused =
                document(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "figures are only read\n".to_owned());
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            refused
        }
        _ => document(StatusCode::NOT_FOUND, PLAIN, "the figures are at /metrics\n".to_owned()),
    })
}

fn document(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
