//! Waiting on a session that stays open.

use super::*;

const IDLE: (&str, &str) = ("IDLE", "+ idling\r\n");
const DONE: (&str, &str) = ("DONE", "TAG OK done\r\n");
const NOOP: (&str, &str) = ("NOOP", "TAG OK done\r\n");
const LONG: Duration = Duration::from_secs(840);

#[tokio::test(start_paused = true)]
async fn a_wait_may_be_looked_at_in_slices_and_goes_on() {
    let mut session =
        open(&[IDLE, ("DONE", "* 3 EXISTS\r\nTAG OK done\r\n"), NOOP], &Limits::default()).await.unwrap();
    session.begin_idle(LONG).await.unwrap();
    for _ in 0..1_000 {
        let slice = tokio::time::timeout(Duration::from_millis(500), session.listen());
        assert!(slice.await.is_err(), "nothing has come");
    }
    session.end_wait(Duration::from_secs(20)).await.unwrap();
    assert!(session.has_news(), "what came with the end of the wait counts");
    session.noop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn mail_told_while_mails_are_deleted_is_news_although_idle_does_not_tell_it_again() {
    let listing = ("UID FETCH 1:* (UID RFC822.SIZE)", "* 1 FETCH (UID 5 RFC822.SIZE 9)\r\nTAG OK done\r\n");
    let script = [
        NOOP,
        listing,
        ("UID STORE 5 +FLAGS.SILENT (\\Deleted)", "TAG OK done\r\n"),
        ("UID EXPUNGE 5", "* 1 EXPUNGE\r\n* 2 EXISTS\r\nTAG OK done\r\n"),
        ("UID EXPUNGE 5", "TAG OK done\r\n"),
    ];
    let mut session = open(&script, &Limits::default()).await.unwrap();
    let items = session.list().await.unwrap();
    assert!(!session.has_news());
    session.delete(&items).await.unwrap();
    assert!(session.has_news());
    tokio::time::timeout(LONG, session.listen()).await.expect("returns at once").unwrap();
}

#[tokio::test(start_paused = true)]
async fn mail_that_only_a_listing_finds_is_a_surprise() {
    let noop = ("NOOP", "* 3 EXISTS\r\nTAG OK done\r\n");
    let listing = ("UID FETCH 1:* (UID RFC822.SIZE)", "* 3 FETCH (UID 7 RFC822.SIZE 9)\r\nTAG OK done\r\n");
    let mut session = open(&[noop, listing, NOOP, listing], &Limits::default()).await.unwrap();
    session.list().await.unwrap();
    assert!(session.take_surprise() && !session.has_news());
    session.list().await.unwrap();
    assert!(!session.take_surprise());
}

#[tokio::test(start_paused = true)]
async fn a_refused_idle_leaves_the_session_usable() {
    let refused = ("IDLE", "TAG NO not for you\r\n");
    let mut session = open(&[refused, NOOP], &Limits::default()).await.unwrap();
    assert!(matches!(session.begin_idle(LONG).await.unwrap_err(), FetchError::Refused { .. }));
    assert!(!session.is_idling());
    session.begin_quiet(LONG).unwrap();
    session.noop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_that_is_never_acknowledged_ends_at_the_limit() {
    let mut session = open(&[("IDLE", "")], &Limits::default()).await.unwrap();
    let started = Instant::now();
    assert!(matches!(session.begin_idle(LONG).await.unwrap_err(), FetchError::Timeout { .. }));
    assert!(started.elapsed() <= Limits::default().operation + Duration::from_secs(1));
    assert!(matches!(session.noop().await.unwrap_err(), FetchError::OutOfStep));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_gone_silent_is_given_up_soon_after_the_wait() {
    let mut session = open(&[IDLE, ("DONE", "")], &Limits::default()).await.unwrap();
    session.begin_idle(LONG).await.unwrap();
    assert!(tokio::time::timeout(LONG, session.listen()).await.is_err());
    let started = Instant::now();
    let error = session.end_wait(Duration::from_secs(20)).await.unwrap_err();
    assert!(matches!(error, FetchError::Timeout { .. }), "{error:?}");
    assert!(started.elapsed() <= Duration::from_secs(21));
    assert!(matches!(session.noop().await.unwrap_err(), FetchError::OutOfStep));
}

#[tokio::test(start_paused = true)]
async fn a_server_may_end_idle_by_itself() {
    let ended = ("IDLE", "+ idling\r\nTAG OK idle for too long\r\n");
    let mut session = open(&[ended, NOOP], &Limits::default()).await.unwrap();
    session.begin_idle(LONG).await.unwrap();
    tokio::time::timeout(LONG, session.listen()).await.expect("returns at once").unwrap();
    assert!(!session.is_idling() && !session.has_news());
    session.end_wait(Duration::from_secs(20)).await.unwrap();
    session.noop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_quiet_wait_hears_what_is_said_unasked_and_a_good_bye() {
    let told = ("NOOP", "TAG OK done\r\n* 3 EXISTS\r\n");
    let mut session = open(&[told], &Limits::default()).await.unwrap();
    session.noop().await.unwrap();
    session.begin_quiet(LONG).unwrap();
    tokio::time::timeout(LONG, session.listen()).await.expect("is told").unwrap();
    assert!(session.has_news());

    let parted = ("NOOP", "TAG OK done\r\n* BYE until tomorrow\r\n");
    let mut session = open(&[parted], &Limits::default()).await.unwrap();
    session.noop().await.unwrap();
    session.begin_quiet(LONG).unwrap();
    assert!(matches!(session.listen().await.unwrap_err(), FetchError::Disconnected { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_made_anew_ends_the_session_since_its_ids_are_void() {
    let anew = ("IDLE", "+ idling\r\n* OK [UIDVALIDITY 78] made anew\r\n");
    let mut session = open(&[anew], &Limits::default()).await.unwrap();
    session.begin_idle(LONG).await.unwrap();
    assert!(matches!(session.listen().await.unwrap_err(), FetchError::Temporary { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_session_is_ended_in_order() {
    let bye = ("LOGOUT", "* BYE bye\r\nTAG OK done\r\n");
    let mut session = open(&[IDLE, DONE, bye], &Limits::default()).await.unwrap();
    session.begin_idle(LONG).await.unwrap();
    session.logout().await.unwrap();
}
