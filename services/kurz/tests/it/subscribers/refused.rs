//! A subscriber may do nothing but read its owner's feed.

use futures_util::StreamExt as _;

use super::{ADA, BOB, Fixture, consumer, seed};
use crate::bus::{connect, refused};

#[tokio::test]
async fn everything_else_is_refused_to_a_subscriber() {
    let fixture = Fixture::new().await;
    let seed = seed(fixture.folder.path(), ADA, "feed");
    let (client, mut refusals) = connect(&fixture.server.url(), &seed, "_INBOX").await;
    let (own, shop, bob) = (
        format!("feed-{ADA}"),
        format!("shop-{ADA}"),
        format!("feed-{BOB}"),
    );
    let mut expected = Vec::new();
    for consumer in [&shop, &bob] {
        expected.extend([
            format!("KURZ.API.CONSUMER.INFO.FEED.{consumer}"),
            format!("KURZ.API.CONSUMER.MSG.NEXT.FEED.{consumer}"),
            format!("$JS.API.CONSUMER.INFO.FEED.{consumer}"),
            format!("$JS.API.CONSUMER.MSG.NEXT.FEED.{consumer}"),
            format!("$JS.ACK.FEED.{consumer}.1.1.1.1.0"),
        ]);
    }
    expected.extend([
        format!("KURZ.API.CONSUMER.CREATE.FEED.{own}.feed.v1.{ADA}.>"),
        "KURZ.API.STREAM.INFO.FEED".to_owned(),
        // The consumer is made for it: who may make one, may have it deliver anywhere.
        "$JS.API.CONSUMER.CREATE.FEED".to_owned(),
        format!("$JS.API.CONSUMER.CREATE.FEED.{own}"),
        format!("$JS.API.CONSUMER.CREATE.FEED.{own}.feed.v1.{ADA}.>"),
        format!("$JS.API.CONSUMER.CREATE.FEED.{own}.feed.v1.{BOB}.>"),
        format!("$JS.API.CONSUMER.DURABLE.CREATE.FEED.{own}"),
        format!("$JS.API.CONSUMER.DELETE.FEED.{own}"),
        format!("$JS.API.CONSUMER.PAUSE.FEED.{own}"),
        "$JS.API.CONSUMER.LIST.FEED".to_owned(),
        "$JS.API.CONSUMER.NAMES.FEED".to_owned(),
        // These would tell other owners' subjects, or their messages.
        "$JS.API.STREAM.INFO.FEED".to_owned(),
        "$JS.API.STREAM.NAMES".to_owned(),
        "$JS.API.STREAM.LIST".to_owned(),
        "$JS.API.STREAM.MSG.GET.FEED".to_owned(),
        "$JS.API.DIRECT.GET.FEED".to_owned(),
        format!("$JS.API.DIRECT.GET.FEED.feed.v1.{BOB}.x"),
        "$JS.API.STREAM.SNAPSHOT.FEED".to_owned(),
        // A stream that copies the feed.
        "$JS.API.STREAM.CREATE.COPY".to_owned(),
        "$JS.API.STREAM.UPDATE.FEED".to_owned(),
        "$JS.API.STREAM.PURGE.FEED".to_owned(),
        "$JS.API.STREAM.DELETE.FEED".to_owned(),
        "$JS.API.INFO".to_owned(),
        "$SYS.REQ.SERVER.PING".to_owned(),
        format!("feed.v1.{ADA}.x"),
        format!("accounts.v1.closed.{BOB}"),
        "clicks.v1.0.x".to_owned(),
        "$KV.links.x".to_owned(),
        "_INBOX.x".to_owned(),
    ]);
    for subject in &expected {
        client.publish(subject.clone(), "{}".into()).await.unwrap();
    }
    assert_eq!(refused(&client, &mut refusals).await, expected);

    let expected = [
        ">".to_owned(),
        "feed.v1.>".to_owned(),
        "feed.v1.*.x".to_owned(),
        format!("feed.v1.{BOB}.>"),
        "clicks.v1.>".to_owned(),
        "$KV.links.>".to_owned(),
        "$JS.>".to_owned(),
        "$SYS.>".to_owned(),
        "_INBOX_analytics.>".to_owned(),
    ];
    let mut open = Vec::new();
    for subject in &expected {
        open.push(client.subscribe(subject.clone()).await.unwrap());
    }
    assert_eq!(refused(&client, &mut refusals).await, expected);
}

/// nats-server does not check where an answer shall go. In the account of the services this would
/// store one as the news that Bob's account is closed.
#[tokio::test]
async fn an_answer_to_a_subscriber_reaches_no_stream_and_nobody_else() {
    let fixture = Fixture::new().await;
    fixture.publish(ADA, "x", "ada").await;
    let client = fixture.client(ADA, "feed").await;
    let bob = fixture.client(BOB, "feed").await;
    let inbox = "_INBOX.bob";
    let mut heard = bob.subscribe(format!("feed.v1.{BOB}.>")).await.unwrap();
    let mut answers = bob.subscribe(inbox).await.unwrap();
    consumer(&bob, &format!("feed-{BOB}")).await;

    let closed = format!("accounts.v1.closed.{BOB}");
    let stream_delete = "$JS.API.STREAM.DELETE.FEED".to_owned();
    let id = format!("feed-{ADA}");
    for request in ["INFO", "MSG.NEXT"] {
        for reply in [
            &closed,
            &stream_delete,
            &format!("feed.v1.{BOB}.x"),
            &inbox.to_owned(),
        ] {
            let subject = format!("KURZ.API.CONSUMER.{request}.FEED.{id}");
            client
                .publish_with_reply(subject, reply.clone(), "{}".into())
                .await
                .unwrap();
        }
    }
    // Answered after them.
    consumer(&client, &id).await;
    fixture.publish(BOB, "x", "bob").await;
    assert_eq!(&heard.next().await.unwrap().payload[..], b"bob");
    bob.publish_with_reply(
        format!("KURZ.API.CONSUMER.INFO.FEED.feed-{BOB}"),
        inbox,
        "".into(),
    )
    .await
    .unwrap();
    let answer = answers.next().await.unwrap().payload;
    assert!(String::from_utf8_lossy(&answer).contains(&BOB.to_string()));

    let jetstream = fixture.operator.jetstream();
    let accounts = jetstream.get_stream("ACCOUNTS").await.unwrap();
    assert_eq!(accounts.cached_info().state.last_sequence, 0);
    let feed = jetstream.get_stream("FEED").await.unwrap();
    assert_eq!(feed.cached_info().state.messages, 2);
}
