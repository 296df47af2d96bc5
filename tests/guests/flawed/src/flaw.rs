//! Which rule is broken.

/// The rules that can be broken: the word for it, and what is done instead.
pub const BEHAVIOURS: &[(&str, &str)] = &[
    ("about-changes", "says something else of itself each time"),
    ("about-empty", "has no title"),
    ("check-other-type", "completes to a domain of another type"),
    ("check-grows", "adds something each time"),
    ("check-drops-comments", "drops comments"),
    ("check-drops-unknown", "drops an element that it does not know"),
    ("check-spoils-names", "writes markup in a name as it is, spoilt"),
    ("check-drops-uuid", "drops the identifier"),
    ("check-emits", "tells of an event while it checks"),
    ("check-notes", "writes notes while it checks"),
    ("check-wants-images", "wants the images to be there"),
    ("input-traps", "traps on what is no domain"),
    ("input-no-place", "does not say where"),
    ("input-wrong-type", "takes domains of any type"),
    ("input-start-unchecked", "starts what is no domain"),
    ("input-hangs", "never answers on a large document"),
    ("input-hoards", "takes all memory on a large document"),
    ("input-recurses", "calls itself for each level of a document"),
    ("life-ignores-paused", "runs what was to be paused"),
    ("life-suspend-does-nothing", "says that it has suspended"),
    ("life-reset-ends", "switches off what was to be reset"),
    ("life-shutdown-pauses", "pauses what was to be shut down"),
    ("life-destroy-leaves-paused", "leaves what is paused"),
    ("life-once", "starts nothing twice"),
    ("state-starts-twice", "starts what runs"),
    ("state-ignores-off", "says that it has done to what is off what cannot be done"),
    ("state-destroy-off-fails", "calls the destruction of what is off invalid"),
    ("state-suspend-twice-resumes", "resumes what is suspended twice"),
    ("state-resume-twice-fails", "calls the resumption of what runs invalid"),
    ("event-unknown-fails", "fails on what it does not know"),
    ("event-counts", "does again what an event told already"),
    ("event-revives", "takes a late event for a life sign"),
    ("event-trusts-data", "traps on data of another kind"),
    ("recovery-forgets", "takes over nothing"),
    ("recovery-disturbs", "changes what it takes over"),
    ("recovery-off-fails", "fails on what is off"),
    ("recovery-complete-traps", "traps at the end of a recovery"),
    ("limits-slow", "takes too long for a large document"),
    ("limits-cuts", "drops a long title"),
    ("native-shows-nothing", "asks for no launch"),
    ("native-fails", "cannot show what it could start"),
    ("native-changes", "shows another launch each time"),
    ("statistics-repeats", "has a counter twice"),
    ("statistics-spaces", "has a counter whose name is no word"),
    ("statistics-miscounts", "says that there are more disks than it tells of"),
    ("statistics-notes", "notes that it was asked"),
];

/// What is looked for in the component's file, and replaced by `flaw=` and one of the words, filled with spaces.
pub(crate) static FLAW: [u8; 40] = *b"flaw=none                               ";

/// Whether this rule is broken.
pub(crate) fn has(flaw: &str) -> bool {
    // What the compiler knew of the text would be compiled in.
    let text = core::hint::black_box(&FLAW);
    let word = text.strip_prefix(b"flaw=").unwrap_or_default().trim_ascii_end();
    word == flaw.as_bytes()
}
