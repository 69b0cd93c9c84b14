//! Watches of directories and files whose names are moved, removed and made again.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use super::*;

fn changed(watch: &mut Watch) -> Noticed {
    match watch.wait(Some(Duration::from_secs(20))).unwrap() {
        WakeReason::Changed(noticed) => noticed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn changes_are_reported_with_their_kind() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("there"), "1").unwrap();
    let mut watch = Watch::new().unwrap();
    assert_eq!(watch.add(directory.path(), Interest::Content), Some(Coverage::Watched));
    assert_eq!(watch.add(directory.path(), Interest::Content), None);
    assert_eq!(watch.add(&path("absent"), Interest::Content), Some(Coverage::Absent));
    assert_eq!((watch.len(), watch.unwatched().is_empty()), (1, true));
    std::fs::write(path("there"), "2").unwrap();
    std::fs::write(path("new"), "").unwrap();
    std::fs::create_dir(path("sub")).unwrap();
    let noticed = changed(&mut watch);
    let how = |is_directory| ChangeKind { entry: true, came: true, is_directory, attributes: false };
    let expected =
        [(path("new"), how(false)), (path("sub"), how(true)), (path("there"), ChangeKind::default())];
    assert_eq!(noticed, Noticed { paths: expected.into(), lost: false });
    assert_eq!(watch.wait(Some(Duration::ZERO)).unwrap(), WakeReason::Nothing);
}

#[test]
fn a_removed_or_moved_directory_is_reported_and_can_be_watched_again() {
    let directory = tempfile::tempdir().unwrap();
    let sub = directory.path().join("sub");
    for move_away in [false, true] {
        std::fs::create_dir(&sub).unwrap();
        let mut watch = Watch::new().unwrap();
        assert_eq!(watch.add(&sub, Interest::Content), Some(Coverage::Watched));
        if move_away {
            std::fs::rename(&sub, directory.path().join("moved")).unwrap();
        } else {
            std::fs::remove_dir(&sub).unwrap();
        }
        assert!(changed(&mut watch).paths[&sub].entry);
        std::fs::create_dir_all(&sub).unwrap();
        assert_eq!(watch.add(&sub, Interest::Content), Some(Coverage::Watched));
        std::fs::write(sub.join("f"), "").unwrap();
        assert!(changed(&mut watch).paths.contains_key(&sub.join("f")));
        std::fs::remove_dir_all(&sub).unwrap();
    }
}

#[test]
fn a_waker_ends_the_wait() {
    let mut watch = Watch::new().unwrap();
    let waker = watch.waker();
    waker.wake();
    assert_eq!(watch.wait(None).unwrap(), WakeReason::ByWaker);
    let thread = std::thread::spawn(move || waker.wake());
    assert_eq!(watch.wait(None).unwrap(), WakeReason::ByWaker);
    thread.join().unwrap();
    assert_eq!(watch.wait(Some(Duration::ZERO)).unwrap(), WakeReason::Nothing);
    assert!(!watch.pause(Duration::from_millis(1)).unwrap());
    watch.waker().wake();
    assert!(watch.pause(Duration::from_secs(3600)).unwrap());
}

#[test]
fn a_path_that_leads_elsewhere_is_watched_at_its_new_location() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for checkout in ["cur/sub", "two/sub"] {
        std::fs::create_dir_all(path(checkout)).unwrap();
    }
    let mut watch = Watch::new().unwrap();
    for name in ["", "cur", "cur/sub"] {
        watch.add(&path(name), Interest::Content);
    }
    std::fs::rename(path("cur"), path("old")).unwrap();
    std::fs::rename(path("two"), path("cur")).unwrap();
    let noticed = changed(&mut watch);
    assert!(noticed.paths[&path("cur")].entry && noticed.paths[&path("cur/sub")].entry, "{noticed:?}");
    assert_eq!(watch.add(&path("cur/sub"), Interest::Content), Some(Coverage::Watched));
    std::fs::write(path("old/sub/f"), "").unwrap();
    std::fs::write(path("cur/sub/g"), "").unwrap();
    let noticed = changed(&mut watch);
    let names: Vec<&PathBuf> = noticed.paths.keys().collect();
    assert_eq!(names, [&path("cur/sub/g")]);
}

#[test]
fn files_are_watched_by_all_their_hard_links() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::create_dir(path("pool")).unwrap();
    std::fs::write(path("pool/one"), "1").unwrap();
    std::fs::hard_link(path("pool/one"), path("one")).unwrap();
    std::fs::write(path("two"), "2").unwrap();
    let mut watch = Watch::new().unwrap();
    assert!(watch.add_file(&path("one")), "has another name");
    assert!(!watch.add_file(&path("two")), "has none that a change before could have come through");
    assert!(!watch.add_file(&path("absent")));
    std::fs::write(path("pool/one"), "3").unwrap();
    assert!(changed(&mut watch).paths.contains_key(&path("one")));
    std::fs::hard_link(path("two"), path("pool/two")).unwrap();
    assert!(changed(&mut watch).paths.contains_key(&path("two")));
    std::fs::write(path("pool/two"), "4").unwrap();
    assert!(changed(&mut watch).paths.contains_key(&path("two")));
    // As editors save: another file gets the name.
    watch.add(directory.path(), Interest::Content);
    std::fs::write(path("new"), "").unwrap();
    std::fs::rename(path("new"), path("one")).unwrap();
    changed(&mut watch);
    assert_eq!(watch.dropped(), [path("one")].into());
    std::fs::write(path("pool/one"), "5").unwrap();
    assert_eq!(watch.wait(Some(QUIET_PERIOD)).unwrap(), WakeReason::Nothing);
    // Without watches left, files with other names have to be polled.
    watch.max_files = 1;
    std::fs::hard_link(path("one"), path("pool/other")).unwrap();
    assert!(!watch.add_file(&path("one")));
    assert_eq!(watch.unwatched(), [Unwatched::Files].into());
}

#[test]
fn changed_permissions_of_a_directory_are_reported() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let mut watch = Watch::new().unwrap();
    watch.add(directory.path(), Interest::Entries);
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(changed(&mut watch).paths[directory.path()].attributes);
}

#[test]
fn polling_uses_no_inotify_instance() {
    let mut watch = Watch::polling().unwrap();
    let expected = Some(Coverage::Polled(Unwatched::ByRequest));
    assert_eq!(watch.add(Path::new("/"), Interest::Content), expected);
    assert_eq!(watch.add(Path::new("/"), Interest::Content), None);
    watch.retry();
    assert_eq!(watch.unwatched(), [Unwatched::ByRequest].into());
}
