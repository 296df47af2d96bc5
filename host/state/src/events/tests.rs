//! Tests of the event log: order, torn lines, rotation, gaps, followers.

use std::io::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn log(root: &Path) -> EventLog {
    EventLog::at(root)
}

fn happened(kind: &str) -> NewEvent {
    let detail = BTreeMap::from([("reason".to_owned(), "a \"test\"\n".to_owned())]);
    NewEvent { domain: Uuid::nil(), name: "a".to_owned(), kind: kind.to_owned(), detail }
}

fn numbers(batch: &Batch) -> Vec<u64> {
    batch.events.iter().map(|event| event.seq).collect()
}

#[test]
fn events_are_read_from_a_cursor() {
    let root = tempfile::tempdir().unwrap();
    let log = log(root.path());
    let first = log.append(happened("domain.started")).unwrap();
    log.append(happened("domain.stopped")).unwrap();
    let all = log.read_since(0).unwrap();
    assert_eq!((numbers(&all), all.next, all.gaps.len()), (vec![1, 2], 2, 0));
    assert_eq!(all.events[0], first);
    let rest = log.read_since(1).unwrap();
    assert_eq!((numbers(&rest), rest.next), (vec![2], 2));
    assert_eq!(log.read_since(2).unwrap(), Batch { next: 2, ..Batch::default() });
}

#[test]
fn torn_last_line_is_skipped_and_then_cut_off() {
    let root = tempfile::tempdir().unwrap();
    let log = log(root.path());
    log.append(happened("a")).unwrap();
    for torn in [&b"{\"seq\":2,\"time"[..], b"\0\0\0\0\0", b"\xff"] {
        let before = std::fs::read(root.path().join("events.log")).unwrap();
        let mut file = std::fs::OpenOptions::new().append(true).open(root.path().join("events.log")).unwrap();
        file.write_all(torn).unwrap();
        let last = log.read_since(0).unwrap().next;
        assert_eq!(log.append(happened("b")).unwrap().seq, last + 1);
        assert!(std::fs::read(root.path().join("events.log")).unwrap().starts_with(&before));
    }
    assert_eq!(numbers(&log.read_since(0).unwrap()), [1, 2, 3, 4]);
}

#[test]
fn damaged_line_in_the_middle_is_a_gap() {
    let root = tempfile::tempdir().unwrap();
    let log = log(root.path());
    for _ in 0..3 {
        log.append(happened("a")).unwrap();
    }
    let path = root.path().join("events.log");
    let text = std::fs::read_to_string(&path).unwrap().replace("{\"seq\":2,", "{\"seq\":2;");
    std::fs::write(&path, text).unwrap();
    let batch = log.read_since(0).unwrap();
    assert_eq!(numbers(&batch), [1, 3]);
    assert_eq!(batch.gaps, [Gap { cursor: 1, resumes_at: 3 }]);
}

#[test]
fn rotation_keeps_one_file_and_older_cursors_get_a_gap() {
    let root = tempfile::tempdir().unwrap();
    let mut log = log(root.path());
    let line = serde_json::to_vec(&log.append(happened("a")).unwrap()).unwrap().len() as u64 + 1;
    log.rotate_at = line * 4;
    for expected in 2..=10 {
        assert_eq!(log.append(happened("a")).unwrap().seq, expected);
    }
    let all = log.read_since(0).unwrap();
    assert_eq!((numbers(&all), all.gaps.len()), ((5..=10).collect(), 0));
    let late = log.read_since(2).unwrap();
    assert_eq!(late.gaps, [Gap { cursor: 2, resumes_at: 5 }]);
    assert_eq!(numbers(&late), numbers(&all));
    assert_eq!(
        (numbers(&log.read_since(7).unwrap()), log.read_since(4).unwrap().gaps),
        (vec![8, 9, 10], vec![])
    );
}

#[test]
fn numbers_continue_over_an_empty_current_file() {
    let root = tempfile::tempdir().unwrap();
    let log = log(root.path());
    log.append(happened("a")).unwrap();
    std::fs::rename(root.path().join("events.log"), root.path().join("events.log.1")).unwrap();
    assert_eq!(log.append(happened("a")).unwrap().seq, 2);
}

#[test]
fn lost_log_is_a_gap_back() {
    let root = tempfile::tempdir().unwrap();
    let log = log(root.path());
    log.append(happened("a")).unwrap();
    let batch = log.read_since(9).unwrap();
    assert_eq!((batch.gaps, batch.next), (vec![Gap { cursor: 9, resumes_at: 2 }], 1));
}

#[test]
fn too_long_event_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let log = log(root.path());
    let error = log.append(happened(&"x".repeat(LINE_MAX_BYTES))).unwrap_err();
    assert_eq!(error.kind, Kind::TooLarge);
    assert!(log.read_since(0).unwrap().events.is_empty());
}

#[test]
fn long_lines_do_not_hide_the_last_number() {
    let root = tempfile::tempdir().unwrap();
    let log = log(root.path());
    for expected in 1..=3 {
        assert_eq!(log.append(happened(&"x".repeat(60_000))).unwrap().seq, expected);
    }
}

#[test]
fn several_writers_never_share_a_number() {
    let root = tempfile::tempdir().unwrap();
    let log = log(root.path());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| drop(log.append(happened("a")).unwrap())));
        }
    });
    assert_eq!(numbers(&log.read_since(0).unwrap()), (1..=200).collect::<Vec<_>>());
}

#[test]
fn follower_sees_past_and_future_events_across_rotations() {
    let root = tempfile::tempdir().unwrap();
    let mut log = log(root.path());
    log.rotate_at = 2000;
    log.append(happened("a")).unwrap();
    let follow = log.follow(0, Some(Instant::now() + Duration::from_secs(60))).unwrap();
    let seen: Vec<_> = std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        scope.spawn(move || follow.take(100).for_each(|item| tell.send(item.unwrap()).unwrap()));
        // In step with the follower, so that no two rotations come between two of its looks.
        let step = |_| {
            let item = told.recv().unwrap();
            log.append(happened("b")).unwrap();
            item
        };
        (1..=100).map(step).collect()
    });
    let seqs: Vec<_> =
        seen.iter().map(|item| if let Followed::Event(event) = item { event.seq } else { 0 }).collect();
    assert_eq!(seqs, (1..=100).collect::<Vec<_>>());
}

#[test]
fn follower_that_slept_over_two_rotations_gets_a_gap() {
    let root = tempfile::tempdir().unwrap();
    let mut log = log(root.path());
    log.rotate_at = 500;
    log.append(happened("a")).unwrap();
    let mut follow = log.follow(0, Some(Instant::now() + Duration::from_secs(60))).unwrap();
    assert!(matches!(follow.next().unwrap().unwrap(), Followed::Event(event) if event.seq == 1));
    for _ in 0..40 {
        log.append(happened("b")).unwrap();
    }
    // What the file it has open still holds comes first.
    let mut last = 1;
    let gap = loop {
        match follow.next().unwrap().unwrap() {
            Followed::Event(event) => last = event.seq,
            Followed::Gap(gap) => break gap,
        }
    };
    assert_eq!((gap.cursor, follow.cursor()), (last, gap.resumes_at - 1));
    assert!(gap.resumes_at > last + 1);
    let Followed::Event(event) = follow.next().unwrap().unwrap() else { panic!("no event") };
    assert_eq!((event.seq, follow.cursor()), (gap.resumes_at, event.seq));
}

#[test]
fn follower_ends_at_its_deadline_and_when_cancelled() {
    let root = tempfile::tempdir().unwrap();
    let log = log(root.path());
    assert!(log.follow(0, Some(Instant::now())).unwrap().next().is_none());
    let mut follow = log.follow(0, None).unwrap();
    let canceller = follow.canceller();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || follow.next().is_none() && follow.next().is_none());
        canceller.cancel().unwrap();
        assert!(waiting.join().unwrap());
    });
}

#[test]
fn reading_makes_no_file() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(log(root.path()).read_since(0).unwrap(), Batch::default());
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn absent_directory_reads_as_empty() {
    let log = EventLog::at(Path::new("/nonexistent/state"));
    assert!(log.read_since(0).unwrap().events.is_empty());
    assert_eq!(log.follow(0, None).unwrap_err().kind, Kind::NotFound);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_damage_never_panics_nor_invents_events(
        noise in prop::collection::vec(any::<u8>(), 0..40),
        at in any::<prop::sample::Index>(),
        insert in any::<bool>(),
    ) {
        let root = tempfile::tempdir().unwrap();
        let log = log(root.path());
        let written: Vec<_> = (0..3).map(|_| log.append(happened("a")).unwrap()).collect();
        let path = root.path().join("events.log");
        let mut bytes = std::fs::read(&path).unwrap();
        let from = at.index(bytes.len());
        let to = if insert { from } else { bytes.len().min(from + noise.len()) };
        bytes.splice(from..to, noise);
        std::fs::write(&path, &bytes).unwrap();
        // A line changed inside a text is still a line: the log has no checksums, its numbers are what counts.
        let batch = log.read_since(0).unwrap();
        prop_assert!(batch.events.len() <= written.len());
        prop_assert!(numbers(&batch).windows(2).all(|pair| pair[0] < pair[1]));
        let next = log.append(happened("b")).unwrap();
        let text = std::fs::read(&path).unwrap();
        let last = text.strip_suffix(b"\n").unwrap().rsplit(|byte| *byte == b'\n').next().unwrap();
        prop_assert_eq!(serde_json::from_slice::<Event>(last).unwrap(), next);
    }
}
