//! Logs, traces and metrics.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use anyhow::Context as _;
use async_nats::HeaderMap;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::env::Env;

/// What `KURZ_LOG` is when nobody sets it.
const DEFAULT_LOG: &str = "info";

/// Upper bounds of the latency histograms, in seconds: from a redirect to a time-out.
const SECONDS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 2.5, 30.0,
];

/// What the telemetry of a process is to be.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which messages are logged, as `RUST_LOG` says it.
    pub log: String,
    /// One JSON object a line; else lines for people.
    pub json: bool,
    /// Where traces go (OTLP over HTTP); none for nowhere.
    pub otlp_endpoint: Option<String>,
}

/// Sends what is left when it is dropped.
#[must_use]
pub struct Guard(Option<SdkTracerProvider>);

impl Config {
    /// Reads `KURZ_LOG`, `KURZ_LOG_FORMAT` (`plain` or `json`) and `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn from_env(env: &mut Env) -> Self {
        let format = env.or("KURZ_LOG_FORMAT", "plain".to_owned());
        if !["plain", "json"].contains(&format.as_str()) {
            env.fault(
                "KURZ_LOG_FORMAT",
                &format!("{format:?} is neither plain nor json"),
            );
        }
        let log = env.or("KURZ_LOG", DEFAULT_LOG.to_owned());
        if let Err(error) = EnvFilter::try_new(&log) {
            env.fault("KURZ_LOG", &format!("{log:?}: {error}"));
        }
        Self {
            log,
            json: format == "json",
            otlp_endpoint: env.optional("OTEL_EXPORTER_OTLP_ENDPOINT"),
        }
    }
}

/// Starts logging and tracing for the process `name`; logs go to standard error.
pub fn init(name: &'static str, config: &Config) -> anyhow::Result<Guard> {
    let provider = config
        .otlp_endpoint
        .as_deref()
        .map(|to| provider(name, to))
        .transpose()?;
    let traces = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(name))
            // The exporter's own requests must not become spans to export.
            .with_filter(EnvFilter::new(
                "info,hyper=off,reqwest=off,opentelemetry=off",
            ))
    });
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // Colours are for a terminal, not for a file or a log collector.
        .with_ansi(std::io::stderr().is_terminal());
    let lines = if config.json {
        lines.json().boxed()
    } else {
        lines.boxed()
    };
    let filter = EnvFilter::try_new(&config.log).context("KURZ_LOG")?;
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces)
        .try_init()
        .context("logging was already started")?;
    recorder();
    Ok(Guard(provider))
}

fn provider(name: &'static str, endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .with_context(|| format!("can't send traces to {endpoint}"))?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name(name).build())
        .build())
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(provider) = self.0.take() else {
            return;
        };
        // On a thread of its own: the exporter blocks, which a runtime's thread must not.
        let ended = std::thread::spawn(move || provider.shutdown()).join();
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the last traces could not be sent");
        }
    }
}

/// The process' metrics, as Prometheus reads them.
pub fn render_metrics() -> String {
    recorder().run_upkeep();
    recorder().render()
}

/// The one recorder of the process, installed at its first use.
pub(crate) fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .expect("there is at least one bucket")
            .install_recorder()
            .expect("nobody else installs a recorder")
    })
}

/// The W3C `traceparent` of the current span; none if it is not part of a sampled trace.
pub fn traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    (span.is_valid() && span.is_sampled())
        .then(|| format!("00-{}-{}-01", span.trace_id(), span.span_id()))
}

/// Makes `span` a child of the span that the headers of an HTTP request name, if they name one.
pub fn follow_http_parent(span: &Span, headers: &axum::http::HeaderMap) {
    if let Some(parent) = headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok())
    {
        set_parent(span, parent);
    }
}

/// Makes `span` a child of the span that the headers of a message name, if they name one.
pub fn follow_parent(span: &Span, headers: &HeaderMap) {
    if let Some(parent) = headers.get("traceparent") {
        set_parent(span, parent.as_str());
    }
}

/// Links `span` to the span that the headers of a message name, if they name one: for work on
/// many messages at once, which can't have one parent.
pub fn link(span: &Span, headers: &HeaderMap) {
    let Some(parent) = headers.get("traceparent") else {
        return;
    };
    let context = TraceContextPropagator::new().extract(&Traceparent(parent.as_str()));
    let linked = context.span().span_context().clone();
    if linked.is_valid() {
        span.add_link(linked);
    }
}

fn set_parent(span: &Span, traceparent: &str) {
    let context = TraceContextPropagator::new().extract(&Traceparent(traceparent));
    if context.span().span_context().is_valid() {
        // Fails only when no tracer is there, and then there is nothing to connect.
        let _ = span.set_parent(context);
    }
}

/// A carrier with one header.
struct Traceparent<'a>(&'a str);

impl Extractor for Traceparent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}
