//! The events that a shim remembers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::Value;
use serde_json::value::RawValue;

use crate::limits::{EVENT_MAX_BYTES, EVENTS_BYTES, EVENTS_KEPT, EVENTS_PER_SECOND};
use crate::qmp::QmpEvent;

/// The last events, each with its place.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    events: VecDeque<(QmpEvent, usize)>,
    bytes: usize,
    cursor: u64,
    /// Place of the newest event that is gone or was never kept.
    lost: u64,
    window: Option<(Instant, u32)>,
}

/// Events after the cursor asked for are gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lost;

impl Ring {
    /// The place of the newest event.
    pub(crate) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Remembers an event. One above the rate only gets a place: whoever waits learns that something is lost.
    pub(crate) fn push(&mut self, name: String, data: Option<&RawValue>, now: Instant) {
        self.cursor += 1;
        if self.over_rate(now) {
            self.lost = self.cursor;
            return;
        }
        let text = data.map_or("", RawValue::get);
        let data = if text.len() > EVENT_MAX_BYTES { None } else { serde_json::from_str(text).ok() };
        let size = if data.is_some() { name.len() + text.len() } else { name.len() };
        let name: String = if name.len() > EVENT_MAX_BYTES { String::new() } else { name };
        let event = QmpEvent {
            cursor: self.cursor,
            name,
            data: data.unwrap_or_else(|| Value::Object(Default::default())),
        };
        self.events.push_back((event, size));
        self.bytes += size;
        while self.events.len() > EVENTS_KEPT || self.bytes > EVENTS_BYTES {
            let Some((gone, size)) = self.events.pop_front() else { break };
            self.bytes -= size;
            self.lost = self.lost.max(gone.cursor);
        }
    }

    /// The events after `after`.
    pub(crate) fn since(&self, after: u64) -> Result<impl Iterator<Item = &QmpEvent>, Lost> {
        if after < self.lost {
            return Err(Lost);
        }
        Ok(self.events.iter().map(|(event, _)| event).filter(move |event| event.cursor > after))
    }

    /// The first event after `after` that has one of `names`, or any when there are none.
    pub(crate) fn first(&self, after: u64, names: &[String]) -> Result<Option<&QmpEvent>, Lost> {
        Ok(self.since(after)?.find(|event| names.is_empty() || names.contains(&event.name)))
    }

    fn over_rate(&mut self, now: Instant) -> bool {
        let window = self.window.get_or_insert((now, 0));
        if now.saturating_duration_since(window.0) >= Duration::from_secs(1) {
            *window = (now, 0);
        }
        window.1 = window.1.saturating_add(1);
        window.1 > EVENTS_PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn cursor_counts_and_names_select() {
        let (mut ring, now) = (Ring::default(), Instant::now());
        for name in ["STOP", "RESUME", "STOP"] {
            ring.push(name.into(), Some(&raw("{\"a\": 1}")), now);
        }
        assert_eq!(ring.cursor(), 3);
        assert_eq!(ring.first(1, &["STOP".into()]).unwrap().unwrap().cursor, 3);
        assert_eq!(ring.first(0, &[]).unwrap().unwrap().data["a"], 1);
        assert_eq!(ring.first(3, &[]), Ok(None));
        assert_eq!(ring.since(1).unwrap().count(), 2);
    }

    #[test]
    fn old_events_are_lost_and_that_is_said() {
        let (mut ring, mut now) = (Ring::default(), Instant::now());
        for _ in 0..EVENTS_KEPT + 10 {
            now += Duration::from_millis(2);
            ring.push("E".into(), None, now);
        }
        assert_eq!(ring.first(9, &[]), Err(Lost));
        assert_eq!(ring.first(10, &[]).unwrap().unwrap().cursor, 11);
    }

    #[test]
    fn flood_keeps_its_count_and_not_its_events() {
        let (mut ring, now) = (Ring::default(), Instant::now());
        for _ in 0..1_000_000 {
            ring.push("E".into(), None, now);
        }
        assert_eq!((ring.cursor(), ring.events.len()), (1_000_000, EVENTS_PER_SECOND as usize));
        assert_eq!(ring.first(999_000, &[]), Err(Lost));
        ring.push("F".into(), None, now + Duration::from_secs(1));
        assert_eq!(ring.first(1_000_000, &[]).unwrap().unwrap().name, "F");
    }

    #[test]
    fn memory_is_bounded_by_bytes_and_large_data_is_left_out() {
        let (mut ring, mut now) = (Ring::default(), Instant::now());
        let large = raw(&format!("{{\"x\": \"{}\"}}", "y".repeat(EVENT_MAX_BYTES - 20)));
        for _ in 0..100 {
            now += Duration::from_millis(2);
            ring.push("E".into(), Some(&large), now);
        }
        assert!(ring.bytes <= EVENTS_BYTES && ring.events.len() < 40);
        ring.push("E".into(), Some(&raw(&format!("\"{}\"", "y".repeat(EVENT_MAX_BYTES)))), now);
        assert_eq!(ring.first(100, &[]).unwrap().unwrap().data, Value::Object(Default::default()));
    }
}
