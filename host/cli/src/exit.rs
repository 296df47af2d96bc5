//! Exit statuses: what each number means, for scripts, `--help` and the manual pages alike.

use std::process::ExitCode;

/// How the process ends. The numbers are part of the interface: they are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: the command did what it was asked to do.
    Success,
    /// 1: it failed for a reason that has no number of its own; `doctor`: something is missing.
    Failed,
    /// 2: the command line is wrong.
    Usage,
    /// 3: what was named does not exist.
    NotFound,
    /// 4: policy or a grant refuses it.
    Refused,
    /// 5: something else holds it, or it is in the wrong state for now; trying again can help.
    Busy,
    /// 6: a deadline passed.
    TimedOut,
    /// 7: the driver failed.
    Driver,
    /// Any: what a program in a guest ended with.
    OfProgram(u8),
    /// 130: interrupted by a signal from the user.
    Interrupted,
}

impl Exit {
    /// Every status with its meaning, in ascending order.
    pub(crate) const TABLE: [(Self, &'static str); 9] = [
        (Self::Success, "done; with 'doctor', nothing is missing"),
        (Self::Failed, "failed; with 'doctor', something is missing"),
        (Self::Usage, "wrong usage of the command line"),
        (Self::NotFound, "the domain, driver, device or file named does not exist"),
        (Self::Refused, "refused by policy or by a grant"),
        (Self::Busy, "busy or in conflict; trying again can help"),
        (Self::TimedOut, "timed out"),
        (Self::Driver, "the driver failed"),
        (Self::Interrupted, "interrupted"),
    ];

    /// The number that the caller of the process sees.
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Refused => 4,
            Self::Busy => 5,
            Self::TimedOut => 6,
            Self::Driver => 7,
            Self::OfProgram(status) => status,
            Self::Interrupted => 130,
        }
    }

    /// The footer of `--help`.
    pub(crate) fn help() -> String {
        let mut text = String::from("Exit status:\n");
        for (exit, meaning) in Self::TABLE {
            text.push_str(&format!("  {:>3}  {meaning}\n", exit.status()));
        }
        text.truncate(text.trim_end().len());
        text
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_numbers_ascend_and_never_repeat() {
        let numbers: Vec<u8> = Exit::TABLE.iter().map(|(exit, _)| exit.status()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 130]);
    }

    #[test]
    fn help_names_every_status() {
        let help = Exit::help();
        for (exit, meaning) in Exit::TABLE {
            assert!(help.contains(&format!("{:>3}  {meaning}", exit.status())), "{help}");
        }
    }
}
