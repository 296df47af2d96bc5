//! Colour by meaning: the tones that text can have, and whether they are shown at all.

use std::ffi::OsStr;

/// When to use colour (`--color`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum When {
    /// If the stream is a terminal; the environment (NO_COLOR, CLICOLOR_FORCE, TERM=dumb) decides first.
    #[default]
    Auto,
    /// Even into a pipe or file.
    Always,
    /// Not at all.
    Never,
}

/// What a piece of text means; the only reason for it to have a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Ordinary text.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// It works, with limits; or it needs attention.
    Warning,
    /// Failed or missing.
    Bad,
    /// A heading, or what to do next.
    Strong,
    /// Detail that most readers skip.
    Faint,
}

impl Tone {
    /// The text in this tone, or as it is when colour is off.
    pub(crate) fn paint(self, text: &str, colour: bool) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "1;31",
            Self::Strong => "1",
            Self::Faint => "2",
        };
        if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The three environment variables that speak about colour.
pub(crate) struct Wishes<'a> {
    pub(crate) no_color: Option<&'a OsStr>,
    pub(crate) clicolor_force: Option<&'a OsStr>,
    pub(crate) term: Option<&'a OsStr>,
}

impl When {
    /// Decides for one stream. The flag wins over the environment; NO_COLOR wins over
    /// CLICOLOR_FORCE; an empty NO_COLOR and a CLICOLOR_FORCE of "0" mean nothing.
    pub(crate) fn decide(self, is_terminal: bool, wishes: &Wishes<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if wishes.no_color.is_some_and(|value| !value.is_empty()) => false,
            Self::Auto if wishes.clicolor_force.is_some_and(|value| !value.is_empty() && value != "0") => {
                true
            }
            Self::Auto => is_terminal && wishes.term.is_none_or(|term| term != "dumb"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(when: When, terminal: bool, variables: [Option<&str>; 3]) -> bool {
        let [no_color, clicolor_force, term] = variables.map(|value| value.map(OsStr::new));
        when.decide(terminal, &Wishes { no_color, clicolor_force, term })
    }

    #[test]
    fn decide_prefers_the_flag_then_no_color_then_force_then_the_terminal() {
        assert!(decide(When::Always, false, [Some("1"), None, None]));
        assert!(!decide(When::Never, true, [None, Some("1"), None]));
        assert!(!decide(When::Auto, true, [Some("1"), Some("1"), None]));
        assert!(decide(When::Auto, false, [None, Some("1"), None]));
        assert!(!decide(When::Auto, false, [None, Some("0"), None]));
        assert!(decide(When::Auto, true, [Some(""), None, Some("xterm")]));
        assert!(!decide(When::Auto, true, [None, None, Some("dumb")]));
        assert!(!decide(When::Auto, false, [None, None, None]));
    }

    #[test]
    fn paint_adds_nothing_when_colour_is_off() {
        assert_eq!(Tone::Bad.paint("x", false), "x");
        assert_eq!(Tone::Bad.paint("x", true), "\x1b[1;31mx\x1b[0m");
        assert_eq!(Tone::Plain.paint("x", true), "x");
    }
}
