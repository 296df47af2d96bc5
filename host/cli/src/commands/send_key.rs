//! `hostler send-key`: presses keys of a guest's keyboard.

use clap::Args;
use serde_json::json;

use super::Target;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Keys by the names that Linux's input event codes have for them, without `KEY_`.
#[rustfmt::skip]
const KEYS: &[(&str, u32)] = &[
    ("ESC", 1), ("1", 2), ("2", 3), ("3", 4), ("4", 5), ("5", 6), ("6", 7), ("7", 8), ("8", 9),
    ("9", 10), ("0", 11), ("MINUS", 12), ("EQUAL", 13), ("BACKSPACE", 14), ("TAB", 15), ("Q", 16),
    ("W", 17), ("E", 18), ("R", 19), ("T", 20), ("Y", 21), ("U", 22), ("I", 23), ("O", 24),
    ("P", 25), ("LEFTBRACE", 26), ("RIGHTBRACE", 27), ("ENTER", 28), ("LEFTCTRL", 29), ("A", 30),
    ("S", 31), ("D", 32), ("F", 33), ("G", 34), ("H", 35), ("J", 36), ("K", 37), ("L", 38),
    ("SEMICOLON", 39), ("APOSTROPHE", 40), ("GRAVE", 41), ("LEFTSHIFT", 42), ("BACKSLASH", 43),
    ("Z", 44), ("X", 45), ("C", 46), ("V", 47), ("B", 48), ("N", 49), ("M", 50), ("COMMA", 51),
    ("DOT", 52), ("SLASH", 53), ("RIGHTSHIFT", 54), ("KPASTERISK", 55), ("LEFTALT", 56),
    ("SPACE", 57), ("CAPSLOCK", 58), ("F1", 59), ("F2", 60), ("F3", 61), ("F4", 62), ("F5", 63),
    ("F6", 64), ("F7", 65), ("F8", 66), ("F9", 67), ("F10", 68), ("NUMLOCK", 69),
    ("SCROLLLOCK", 70), ("KP7", 71), ("KP8", 72), ("KP9", 73), ("KPMINUS", 74), ("KP4", 75),
    ("KP5", 76), ("KP6", 77), ("KPPLUS", 78), ("KP1", 79), ("KP2", 80), ("KP3", 81), ("KP0", 82),
    ("KPDOT", 83), ("102ND", 86), ("F11", 87), ("F12", 88), ("KPENTER", 96), ("RIGHTCTRL", 97),
    ("KPSLASH", 98), ("SYSRQ", 99), ("RIGHTALT", 100), ("HOME", 102), ("UP", 103), ("PAGEUP", 104),
    ("LEFT", 105), ("RIGHT", 106), ("END", 107), ("DOWN", 108), ("PAGEDOWN", 109), ("INSERT", 110),
    ("DELETE", 111), ("MUTE", 113), ("VOLUMEDOWN", 114), ("VOLUMEUP", 115), ("POWER", 116),
    ("PAUSE", 119), ("LEFTMETA", 125), ("RIGHTMETA", 126), ("COMPOSE", 127),
];

/// Press keys of the keyboard of a guest together, and let them go
///
/// Keys are named as Linux names its input event codes: KEY_LEFTCTRL, or LEFTCTRL, or 29.
#[derive(Debug, Args)]
pub(crate) struct SendKey {
    #[command(flatten)]
    target: Target,
    /// Keys: names such as LEFTCTRL, LEFTALT and DELETE, or numbers
    #[arg(value_name = "KEY", required = true, num_args = 1..=16, value_parser = key)]
    keys: Vec<u32>,
    /// Hold them for MS milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    hold: u32,
}

impl SendKey {
    /// Presses them.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let reference = self.target.reference();
        session.block_on(async {
            let host = session.owner().await?;
            Ok(host.press_keys(&reference, &self.keys, self.hold).await?)
        })?;
        let json = json!({"keys": self.keys, "hold_ms": self.hold});
        let count = self.keys.len();
        let line = format!("{count} key{} pressed in '{reference}'", if count == 1 { "" } else { "s" });
        Ok(Reply::confirmation(json, vec![Block::Line(line)]))
    }
}

fn key(text: &str) -> Result<u32, String> {
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("KEY_").unwrap_or(&name);
    // A lone digit is the key with that digit, as everybody means it; a code is written with two or more.
    let named = KEYS.iter().find(|(known, _)| *known == name).map(|(_, code)| *code);
    let numbered = || name.parse().ok().filter(|code| (1..768).contains(code));
    named.or_else(numbered).ok_or_else(|| {
        let nearest = hostler_domains::nearest(name, KEYS.iter().map(|(known, _)| *known));
        match nearest {
            Some(nearest) => format!("there is no such key; did you mean {nearest}?"),
            None => {
                "there is no such key; keys are called as in linux/input-event-codes.h: ENTER, F1, LEFTCTRL"
                    .to_owned()
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_names_or_codes() {
        for (text, code) in [
            ("KEY_A", 30),
            ("a", 30),
            ("leftctrl", 29),
            ("1", 2),
            ("0", 11),
            ("111", 111),
            ("key_delete", 111),
        ] {
            assert_eq!(key(text), Ok(code), "{text}");
        }
        assert!(key("LEFTCTRLL").unwrap_err().contains("LEFTCTRL"));
        for wrong in ["", "KEY_", "768", "-1"] {
            assert!(key(wrong).is_err(), "{wrong}");
        }
    }
}
