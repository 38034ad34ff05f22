use super::*;
use std::path::Path;

#[test]
fn a_daemon_can_be_a_task_among_others_on_many_threads() {
    fn is_send<T: Send>(_: &T) {}
    let (_hold, stop) = watch::channel(true);
    is_send(&run(&Home::new(Path::new("/nonexistent")), stop));
}

#[test]
fn the_lock_is_free_again_when_its_holder_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("serve.lock");
    let held = Lock::take(&path).unwrap();
    assert!(matches!(Lock::take(&path), Err(LockError::Held { .. })));
    drop(held);
    Lock::take(&path).unwrap();
}

#[test]
fn an_error_is_told_with_all_its_causes() {
    let cause = std::io::Error::other("disk on fire");
    let error = LockError::File { path: "/x/serve.lock".into(), source: cause };
    assert_eq!(chain(&error), "cannot lock /x/serve.lock: disk on fire");
}
