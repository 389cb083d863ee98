use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

use crate::shutdown::Shutdown;

/// How long requests may go on once the shutdown has begun.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until the shutdown begins, then finishes what was asked, within a bound.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let listener = listener.tap_io(|connection| {
        // Answers are single small writes: waiting to fill a packet only costs time.
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set");
        }
    });
    let begun = shutdown.clone();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service)
        .with_graceful_shutdown(async move { begun.cancelled().await });
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = serving => result?,
        () = late => tracing::warn!("requests did not end within {GRACE:?}: cutting them off"),
    }
    Ok(())
}
