//! What a hypervisor says by itself: it comes late, twice, from a newer hypervisor, or from one that was taken over.

use crate::bench::{Bench, asked};
use crate::case::{Case, Finding, Needs, fault};
use crate::runner::{Event, FailureKind, Operation, RunState, Subject, Traces};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "event.unknown",
        demands: "an event that the driver does not know is passed over, and the domain goes on",
        why: "a newer hypervisor says more",
        needs: Needs::Driver,
        run: unknown,
    },
    Case {
        name: "event.twice",
        demands: "the same event a second time changes neither the driver's notes nor the domain's state",
        why: "after a crash the host passes on again what it is not sure of",
        needs: Needs::Driver,
        run: twice,
    },
    Case {
        name: "event.late",
        demands: "an event of a domain that is off by now is taken, and it stays off",
        why: "the last words of a hypervisor come when it has ended",
        needs: Needs::Driver,
        run: late,
    },
    Case {
        name: "event.malformed",
        demands: "an event whose data is of another kind, deep or long never breaks the driver",
        why: "a guest that has taken its hypervisor over writes the events",
        needs: Needs::Driver,
        run: malformed,
    },
];

/// Events as QEMU sends them, with what they carry.
const KNOWN: &[(&str, &str)] = &[
    ("STOP", "{}"),
    ("RESUME", "{}"),
    ("RESET", r#"{"guest":true,"reason":"guest-reset"}"#),
    ("POWERDOWN", "{}"),
    ("SHUTDOWN", r#"{"guest":true,"reason":"guest-shutdown"}"#),
    ("SUSPEND", "{}"),
    ("WAKEUP", "{}"),
    ("WATCHDOG", r#"{"action":"none"}"#),
    ("GUEST_PANICKED", r#"{"action":"pause","info":{"type":"hyper-v"}}"#),
    ("BLOCK_IO_ERROR", r#"{"device":"","node-name":"x","operation":"read","action":"stop","reason":"EIO"}"#),
    ("DEVICE_DELETED", r#"{"device":"net0","path":"/machine/peripheral/net0"}"#),
    ("DEVICE_TRAY_MOVED", r#"{"device":"","id":"ide0-0-0","tray-open":true}"#),
    ("JOB_STATUS_CHANGE", r#"{"id":"job0","status":"concluded"}"#),
];

/// How deep data nests that a host passes on.
const DEEP: usize = 100;

fn unknown(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.started()?;
    for (name, data) in
        [("CONFORMANCE_NEVER_HEARD_OF", r#"{"a":[1,{"b":null}]}"#), ("", "{}"), ("ÄÖ\u{1b}[2J", "{}")]
    {
        bench.must(&subject, event(7, name, data))?;
    }
    bench.must_be(&subject, RunState::Running, "after events that nobody knows")
}

fn twice(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.started()?;
    for (cursor, (name, data)) in (1..).zip(KNOWN) {
        let event = event(cursor, name, data);
        bench.must(&subject, event.clone())?;
        let once = seen(bench, &subject)?;
        bench.must(&subject, event.clone())?;
        let again = seen(bench, &subject)?;
        if once != again {
            let asked = format!("{}, a second time", asked(&subject, &event));
            return Err(fault(&asked, &format!("still {once:?}"), &format!("{again:?}")));
        }
    }
    Ok(())
}

/// State, process and notes.
fn seen(bench: &Bench<'_>, subject: &Subject) -> Result<(RunState, Traces), Finding> {
    let state = bench.state(subject, Operation::Query)?;
    let traces = bench.traces(subject)?;
    Ok((state, Traces { events: Vec::new(), ..traces }))
}

fn late(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.started()?;
    bench.must(&subject, Operation::Destroy)?;
    for (cursor, (name, data)) in (1..).zip(KNOWN) {
        bench.must(&subject, event(cursor, name, data))?;
        bench.must_be(&subject, RunState::Off, &format!("after {name}, when it was off"))?;
    }
    Ok(())
}

fn malformed(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.started()?;
    let deep = format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP));
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(256 << 10));
    let datas = ["null", "7", "\"text\"", "[]", r#"{"guest":7,"reason":[],"action":{}}"#, &deep, &long];
    for name in ["SHUTDOWN", "GUEST_PANICKED", "BLOCK_IO_ERROR", "DEVICE_DELETED"] {
        for data in datas {
            let event = event(u64::MAX, name, data);
            match bench.runner().call(&subject, &event) {
                Ok(_) => {}
                Err(failure) if failure.kind == FailureKind::Invalid => {}
                Err(failure) => {
                    let asked = format!("{} and the data {data}", asked(&subject, &event));
                    return Err(fault(&asked, "success or error 'invalid'", &failure.to_string()));
                }
            }
        }
    }
    Ok(())
}

fn event(cursor: u64, name: &str, data: &str) -> Operation {
    Operation::OnEvent(Event { cursor, name: name.to_owned(), data: data.to_owned() })
}
