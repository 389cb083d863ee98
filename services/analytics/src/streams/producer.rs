use std::convert::Infallible;
use std::time::Duration;

use anyhow::anyhow;
use axum::response::sse::Event;
use chassis::backoff::Backoff;
use chassis::bus::{self, Start, StoredMessage};
use events::Click;
use futures_util::{Stream, stream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use uuid::Uuid;

use super::Slot;
use super::event::{ClickEvent, End, Gap};
use crate::domain::{ClickFilter, EventId};
use crate::error::Error;
use crate::ingest::set::{self, Counted, Message};
use crate::live::LiveClick;
use crate::rules::{Agent, Kind};
use crate::state::AppState;
use crate::store::reports;

/// Events that wait for a slow reader, about 300 bytes each. Clicks for which there is no room are
/// read from the stream later; nothing else is kept for whoever does not keep up.
const BUFFER: usize = 256;

/// How long an event waits for a place in the buffer before the stream ends: the reader has taken
/// nothing in all this time.
const SEND_LIMIT: Duration = Duration::from_secs(10);

/// How often a silent stream says that it is alive. Proxies cut what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a stream lasts at most: so long does a token that was taken back keep its ear.
const MAX_AGE: Duration = Duration::from_hours(1);

/// How long a client waits before it comes again.
const RETRY: Duration = Duration::from_secs(2);

/// What one stream shows.
#[derive(Debug, Clone)]
pub struct Watch {
    /// Whose clicks.
    pub owner: Uuid,
    /// Only those of this link.
    pub link_id: Option<Uuid>,
    /// Only those that pass.
    pub filter: ClickFilter,
    /// The last event that the client has; none for whoever begins now.
    pub last_event_id: Option<EventId>,
}

/// Opens a stream: every click that is read from CLICKS and counted from now on, or from the
/// client's last event on. A dead message that is retried is shown to nobody.
///
/// A click is shown once it is counted. What the client missed is read from the stream of all
/// clicks, up to the place that is counted; from there on the ingest hands over what it commits.
pub async fn open(
    app: AppState,
    watch: Watch,
    slot: Slot,
) -> Result<impl Stream<Item = Result<Event, Infallible>> + use<>, Error> {
    let owner = watch.owner;
    let (closed, applied) = app
        .database
        .read(move |connection| {
            let closed = reports::is_closed(connection, owner)?;
            Ok::<_, Error>((closed, reports::applied_sequence(connection)?))
        })
        .await?;
    if closed {
        return Err(Error::AccountClosed);
    }
    let (to, events) = mpsc::channel(BUFFER);
    let (ended, end) = oneshot::channel();
    let place = watch.last_event_id.unwrap_or(EventId::end_of(applied));
    let producer = Producer {
        app,
        watch,
        place,
        to,
    };
    let closed = slot.closed();
    tokio::spawn(async move {
        let end = producer.run(closed.cancelled()).await;
        metrics::counter!("kurz_live_streams_ended_total", "reason" => end.reason()).increment(1);
        // The client may be gone.
        let _ = ended.send(end);
    });
    Ok(stream::unfold(
        (events, Some(end), slot),
        |(mut events, mut end, slot)| async move {
            let event = match events.recv().await {
                Some(event) => event,
                None => end.take()?.await.unwrap_or(End::Fault).event(),
            };
            Some((Ok(event), (events, end, slot)))
        },
    ))
}

struct Producer {
    app: AppState,
    watch: Watch,
    /// Everything up to here was shown, or is not for this client.
    place: EventId,
    to: mpsc::Sender<Event>,
}

impl Producer {
    async fn run(mut self, account_closed: impl Future<Output = ()>) -> End {
        let (to, shutdown) = (self.to.clone(), self.app.shutdown.clone());
        tokio::select! {
            result = self.produce() => match result {
                Ok(never) => match never {},
                Err(end) => end,
            },
            () = shutdown.cancelled() => End::Shutdown,
            () = account_closed => End::AccountClosed,
            () = tokio::time::sleep(MAX_AGE) => End::Renew,
            () = to.closed() => End::Gone,
        }
    }

    async fn produce(&mut self) -> Result<Infallible, End> {
        self.send(self.opening()).await?;
        if self.watch.last_event_id.is_some() {
            self.check_place().await?;
        }
        loop {
            // In this order: what is committed after the position was read comes through the hub.
            let mut unwatched = self.app.live.unwatched();
            let mut live = self.app.live.subscribe();
            let applied = self.applied().await?;
            self.catch_up(applied).await?;
            self.pass_on(&mut live, &mut unwatched).await?;
        }
    }

    /// Reaches the client at once. Who has no id yet gets one, to resume from before the first
    /// click came.
    fn opening(&self) -> Event {
        let event = Event::default().retry(RETRY).comment("open");
        match self.watch.last_event_id {
            Some(_) => event,
            None => event.id(self.place.to_string()),
        }
    }

    /// An id that lies behind the end of the stream is from another one, which was deleted, or
    /// from nowhere. Nobody can say what that client has seen: it is told, and goes on from now.
    async fn check_place(&mut self) -> Result<(), End> {
        let applied = self.applied().await?;
        let mut backoff = Backoff::default();
        while self.place.sequence > applied {
            let info = async {
                let mut stream = self
                    .app
                    .bus
                    .jetstream()
                    .get_stream(&*self.app.clicks_stream())
                    .await?;
                Ok::<_, anyhow::Error>(stream.info().await?.state.last_sequence)
            };
            match info.await {
                Ok(last) if self.place.sequence <= last => break,
                Ok(_) => {
                    let first_sequence = self.place.sequence;
                    self.place = EventId::end_of(applied);
                    let message = "this id is from another stream: some clicks may be missing here";
                    let gap = Gap {
                        first_sequence,
                        last_sequence: None,
                        message,
                    };
                    self.send(gap.event(self.place)).await?;
                }
                Err(error) => self.wait(&mut backoff, &error).await?,
            }
        }
        Ok(())
    }

    /// Shows what lies between the own place and the message `applied`, from the stream itself.
    async fn catch_up(&mut self, applied: u64) -> Result<(), End> {
        let mut backoff = Backoff::default();
        while self.next_sequence() <= applied {
            let start = Start::Sequence(self.next_sequence());
            let name = self.app.clicks_stream();
            let follow = self.app.bus.follow(&name, None, start).await;
            let result = match follow {
                Ok(follow) => self.read(follow, applied).await?,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = result {
                self.wait(&mut backoff, &error).await?;
            }
        }
        Ok(())
    }

    async fn read(
        &mut self,
        mut follow: bus::Follow,
        applied: u64,
    ) -> Result<anyhow::Result<()>, End> {
        // Everything up to `applied` may have left the stream: then no message would ever come.
        let mut pending = follow.backlog();
        while self.next_sequence() <= applied {
            if pending == 0 {
                self.gap(applied).await?;
                break;
            }
            let message = match timeout(KEEP_ALIVE, follow.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return Ok(Err(error.into())),
                Ok(None) => return Ok(Err(anyhow!("the stream ended"))),
                Err(_) => {
                    self.keep_alive().await?;
                    continue;
                }
            };
            pending = message.pending;
            // The sequences of this stream have no holes but where messages were deleted.
            if message.sequence > self.next_sequence() {
                self.gap(applied.min(message.sequence - 1)).await?;
            }
            if message.sequence <= applied {
                self.show_message(&message).await?;
            }
        }
        Ok(Ok(()))
    }

    async fn show_message(&mut self, message: &StoredMessage) -> Result<(), End> {
        // What can't be read was not counted either.
        if let Ok(Message {
            clicks: Some(clicks),
            ..
        }) = set::read(message, &self.app.rules, self.app.partition)
        {
            for (index, Counted { click, kind, agent }) in (0..).zip(&clicks) {
                let id = EventId {
                    sequence: message.sequence,
                    index,
                };
                if id > self.place && self.is_wanted(click) {
                    self.show(id, click, *kind, agent).await?;
                }
            }
        }
        self.place = EventId::end_of(message.sequence);
        Ok(())
    }

    /// Passes on what the ingest commits. Returns when something has to be read from the stream:
    /// what was committed before the ingest knew that somebody watches, or what was too much at
    /// once for the hub.
    async fn pass_on(
        &mut self,
        live: &mut broadcast::Receiver<LiveClick>,
        unwatched: &mut watch::Receiver<u64>,
    ) -> Result<(), End> {
        loop {
            let received = tokio::select! {
                // A commit that nobody was shown comes before those that are handed out after it.
                biased;
                _ = unwatched.changed() => return Ok(()),
                received = timeout(KEEP_ALIVE, live.recv()) => received,
            };
            match received {
                Ok(Ok(LiveClick {
                    sequence,
                    index,
                    kind,
                    agent,
                    click,
                })) => {
                    let id = EventId { sequence, index };
                    if id > self.place {
                        if self.is_wanted(&click) {
                            self.show(id, &click, kind, &agent).await?;
                        }
                        self.place = id;
                    }
                }
                Ok(Err(RecvError::Lagged(_))) => return Ok(()),
                Ok(Err(RecvError::Closed)) => return Err(End::Shutdown),
                Err(_) => self.keep_alive().await?,
            }
        }
    }

    fn is_wanted(&self, click: &Click) -> bool {
        click.owner_id == self.watch.owner
            && self
                .watch
                .link_id
                .is_none_or(|link_id| click.link_id == link_id)
    }

    async fn show(&self, id: EventId, click: &Click, kind: Kind, agent: &Agent) -> Result<(), End> {
        if !self.watch.filter.passes(kind, click.country.as_deref()) {
            return Ok(());
        }
        self.send(ClickEvent::new(click, kind, agent).event(id))
            .await
    }

    /// Says that the messages up to `last` are not there any more, and goes on behind them.
    async fn gap(&mut self, last: u64) -> Result<(), End> {
        let first_sequence = self.next_sequence();
        self.place = EventId::end_of(last);
        let message = "clicks this old are no longer in the stream; the statistics hold them";
        let gap = Gap {
            first_sequence,
            last_sequence: Some(last),
            message,
        };
        self.send(gap.event(self.place)).await
    }

    /// The first message of which something may not have been shown.
    fn next_sequence(&self) -> u64 {
        let EventId { sequence, .. } = self.place;
        if self.place.is_end() {
            sequence.saturating_add(1)
        } else {
            sequence
        }
    }

    async fn applied(&self) -> Result<u64, End> {
        let applied = self
            .app
            .database
            .read(|connection| Ok::<_, Error>(reports::applied_sequence(connection)?))
            .await;
        applied.map_err(|error| {
            tracing::error!(
                error = error.to_string(),
                "a live stream can't read the position"
            );
            End::Fault
        })
    }

    /// NATS is away: the client hears that we are not.
    async fn wait(&self, backoff: &mut Backoff, error: &anyhow::Error) -> Result<(), End> {
        tracing::debug!(error = format!("{error:#}"), "a live stream waits for NATS");
        self.keep_alive().await?;
        backoff.wait(&self.app.shutdown).await;
        Ok(())
    }

    /// Also moves the client's id on, so that it resumes near the end of the stream.
    async fn keep_alive(&self) -> Result<(), End> {
        let event = Event::default()
            .id(self.place.to_string())
            .comment("keep-alive");
        self.send(event).await
    }

    async fn send(&self, event: Event) -> Result<(), End> {
        match timeout(SEND_LIMIT, self.to.send(event)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::TooSlow),
        }
    }
}
