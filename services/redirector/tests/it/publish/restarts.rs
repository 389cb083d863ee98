use chassis::testing::{NatsServer, eventually};

use super::process::{Process, segments, spool_in};
use super::proxy::Proxy;
use super::stream::{Stream, numbers};

#[tokio::test(flavor = "multi_thread")]
async fn what_killed_processes_left_is_published_under_their_own_spools() {
    let mut nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let url = nats.url();
    nats.stop().await;
    for process in 0..3 {
        let killed = Process::start(spool_in(&folder), &url).await;
        killed.record(process * 1_000..process * 1_000 + 700).await;
        killed.kill().await;
    }
    nats.restart().await;
    let process = Process::start(spool_in(&folder), &url).await;
    process.record(9_000..9_100).await;
    stream.holds(3 * 700 + 100).await;
    process.stop().await;
    let spools: Vec<_> = stream.spools().await.into_values().collect();
    let expected = [0..700, 1_000..1_700, 2_000..2_700, 9_000..9_100].map(numbers);
    assert_eq!(spools, expected);
    assert!(segments(&folder).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_before_it_hears_of_its_batch_doubles_nothing() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let proxy = Proxy::to(&nats.url()).await;
    let folder = tempfile::tempdir().unwrap();
    let killed = Process::start(spool_in(&folder), &proxy.url()).await;
    killed.record(0..10).await;
    stream.holds(10).await;
    proxy.lose_answers();
    killed.record(10..20).await;
    eventually(|| async { (stream.clicks().await.len() > 10).then_some(()) }).await;
    killed.record(20..30).await;
    killed.kill().await;
    let process = Process::start(spool_in(&folder), &nats.url()).await;
    stream.holds(30).await;
    process.stop().await;
    assert_eq!(
        stream.spools().await.into_values().collect::<Vec<_>>(),
        [numbers(0..30)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_copied_back_doubles_nothing() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let killed = Process::start(spool_in(&folder), &nats.url()).await;
    killed.record(0..50).await;
    let copies: Vec<_> = segments(&folder)
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    killed.record(50..100).await;
    stream.holds(100).await;
    killed.stop().await;
    assert!(segments(&folder).is_empty());
    for (path, bytes) in copies {
        std::fs::write(path, bytes).unwrap();
    }
    let process = Process::start(spool_in(&folder), &nats.url()).await;
    process.record(100..110).await;
    eventually(|| async { (segments(&folder).len() == 1).then_some(()) }).await;
    stream.holds(110).await;
    process.stop().await;
    let spools: Vec<_> = stream.spools().await.into_values().collect();
    assert_eq!(spools, [numbers(0..100), numbers(100..110)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leftover_with_a_torn_end_gives_what_is_whole() {
    let mut nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let url = nats.url();
    nats.stop().await;
    let killed = Process::start(spool_in(&folder), &url).await;
    killed.record(0..100).await;
    killed.kill().await;
    let [segment] = &segments(&folder)[..] else {
        panic!("one segment")
    };
    let bytes = std::fs::read(segment).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    std::fs::write(segment, &bytes[..used - 5]).unwrap();
    nats.restart().await;
    let process = Process::start(spool_in(&folder), &url).await;
    eventually(|| async { (segments(&folder).len() == 1).then_some(()) }).await;
    process.stop().await;
    assert_eq!(stream.clicks().await, (0..99).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_can_not_use_one_folder() {
    let nats = NatsServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(spool_in(&folder), &nats.url()).await;
    let second = Process::try_start(spool_in(&folder), &nats.url()).await;
    let error = second.err().expect("the folder is in use");
    assert!(
        format!("{error:#}").contains("in use by another redirector"),
        "{error:#}"
    );
    first.kill().await;
    Process::start(spool_in(&folder), &nats.url())
        .await
        .kill()
        .await;
}
