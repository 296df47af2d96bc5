//! What a person in front of the machine sees and presses.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::{
    Command, Domain, Error, Monitor, MonitorExt, ProblemExt, Resources, Symbol, Value, problem,
};

use crate::alias;

/// Most keys at once.
const KEYS_MAX: usize = 16;
/// Longest that keys are held, in milliseconds.
const HOLD_MAX_MS: u32 = 10_000;

/// Extended keys: their numbers among Linux's input event codes (`linux/input-event-codes.h`), and the numbers that a PC's
/// keyboard has for them (scan code set 1, with the high bit for the prefix 0xe0), which are those of `KeyValue.number`.
/// Below 89 both are the same.
const EXTENDED: &[(u32, u32)] = &[
    (96, 0x9c),
    (97, 0x9d),
    (98, 0xb5),
    (99, 0x54),
    (100, 0xb8),
    (102, 0xc7),
    (103, 0xc8),
    (104, 0xc9),
    (105, 0xcb),
    (106, 0xcd),
    (107, 0xcf),
    (108, 0xd0),
    (109, 0xd1),
    (110, 0xd2),
    (111, 0xd3),
    (113, 0xa0),
    (114, 0xae),
    (115, 0xb0),
    (116, 0xde),
    (119, 0xc6),
    (125, 0xdb),
    (126, 0xdc),
    (127, 0xdd),
];

/// Writes what a display shows to the operation's output. Gives back its media type.
///
/// # Errors
/// `not-found` for a display that the machine does not have; what the host or the monitor answers.
pub(crate) fn take(domain: &Domain, display: u32) -> Result<String, Error> {
    let document = Document::parse(&domain.config())?;
    let device = device(&document, display)?;
    let monitor = domain.monitor()?;
    match dump(domain, &monitor, &device, "png") {
        Ok(()) => Ok("image/png".to_owned()),
        // A QEMU that was built without libpng; nothing was written.
        Err(Error::Hypervisor(told)) if told.message.contains("PNG") => {
            dump(domain, &monitor, &device, "ppm").map(|()| "image/x-portable-pixmap".to_owned())
        }
        Err(error) => Err(error),
    }
}

fn dump(domain: &Domain, monitor: &Monitor, device: &str, format: &str) -> Result<(), Error> {
    let command = Command::new("screendump")
        .with("filename", Symbol::Output)
        .with("device", device)
        .with("format", format);
    monitor.run_with(&command, domain, &mut Resources::default()).map(drop)
}

/// The id of the device behind a display.
fn device(document: &Document, display: u32) -> Result<String, Error> {
    let videos = &document.devices.videos;
    let shown = usize::try_from(display).ok().and_then(|display| videos.get(display));
    let device = shown
        .filter(|video| video.model.as_deref() != Some("none"))
        .and_then(|video| alias::assign(document).get(video.node).map(str::to_owned));
    device.ok_or_else(|| {
        let message =
            format!("the machine has no display {display}, its document has {} video devices", videos.len());
        Error::NotFound(
            problem("qemu.no-display", message).hint("displays count from 0; without <video> there is none"),
        )
    })
}

/// Presses keys together and lets them go.
///
/// # Errors
/// `unsupported` for a key that a PC's keyboard does not have; `invalid` for none or too many; what the monitor answers.
pub(crate) fn press(domain: &Domain, keys: &[u32], hold_ms: u32) -> Result<(), Error> {
    if keys.is_empty() || keys.len() > KEYS_MAX || hold_ms > HOLD_MAX_MS {
        let message = format!(
            "{} keys for {hold_ms} ms, and it is 1 to {KEYS_MAX} keys for at most {HOLD_MAX_MS} ms",
            keys.len()
        );
        return Err(problem("qemu.keys", message).invalid());
    }
    let keys = keys.iter().map(|key| Ok(number(*key)?.into())).collect::<Result<Vec<Value>, Error>>()?;
    let values =
        keys.into_iter().map(|key| Value::mapping().with("type", "number").with("data", key)).collect();
    let command = Command::new("send-key").with("keys", Value::Sequence(values)).with("hold-time", hold_ms);
    let monitor = domain.monitor()?;
    monitor.run_with(&command, domain, &mut Resources::default()).map(drop)
}

fn number(key: u32) -> Result<u32, Error> {
    match key {
        1..=88 => Ok(key),
        _ => EXTENDED.iter().find(|(code, _)| *code == key).map(|(_, number)| *number).ok_or_else(|| {
            let message = format!("the keyboard of a PC has no key with the code {key}");
            problem("qemu.no-key", message).hint("codes are those of linux/input-event-codes.h").unsupported()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_numbers_of_a_keyboard() {
        assert_eq!([30, 1, 88, 97, 111].map(|key| number(key).unwrap()), [30, 1, 88, 0x9d, 0xd3]);
        for none in [0, 89, 101, 500, u32::MAX] {
            assert!(matches!(number(none), Err(Error::Unsupported(_))), "{none}");
        }
    }

    #[test]
    fn display_is_a_video_device_of_the_document() {
        let document = Document::parse(
            "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices>\
             <video><model type='vga'/></video></devices></domain>",
        )
        .unwrap();
        assert_eq!(device(&document, 0).unwrap(), "video0");
        assert!(matches!(device(&document, 1), Err(Error::NotFound(_))));
    }
}
