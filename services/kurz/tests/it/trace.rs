use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use chassis::testing::{Folder, eventually};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;

use crate::process::{Kurz, client, command, counted, log_in, make_link};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

type Spans = Arc<Mutex<Vec<Span>>>;

async fn collect(State(spans): State<Spans>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = request
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans);
    spans
        .lock()
        .unwrap()
        .extend(scopes.flat_map(|scope| scope.spans));
}

/// A collector of traces, and what it has collected.
async fn collector() -> (String, Spans) {
    let spans = Spans::default();
    let router = Router::new()
        .route("/v1/traces", post(collect))
        .with_state(spans.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, spans)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_redirect_to_its_count() {
    let folder = Folder::new();
    let (url, spans) = collector().await;
    let mut start = command(folder.path());
    start
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        // How often spans are sent; the default is five seconds.
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .env("KURZ_TRUSTED_PROXIES", "127.0.0.1");
    let kurz = Kurz::start_with(start, folder.path()).await;
    let token = log_in(&kurz).await;
    make_link(&kurz, &token, "rust").await;
    client()
        .get(format!("{}/rust", kurz.url))
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .send()
        .await
        .unwrap();
    counted(&kurz, &token, "rust", 1).await;

    let (redirect, applied) = eventually(|| async {
        let spans = spans.lock().unwrap();
        let redirect = spans
            .iter()
            .find(|span| hex(&span.trace_id) == TRACE)?
            .clone();
        let linked = |span: &&Span| {
            span.links
                .iter()
                .any(|link| link.span_id == redirect.span_id)
        };
        Some((redirect.clone(), spans.iter().find(linked)?.clone()))
    })
    .await;
    assert_eq!(redirect.name, "GET /{code}");
    assert_eq!(hex(&redirect.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(applied.name, "apply clicks");
    assert!(kurz.terminate().success());
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
