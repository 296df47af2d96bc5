//! The few arguments a verb takes. The product's command line is clap's; this tool has to build first and fast.

use anyhow::{Result, bail};

/// What follows the verb on the command line.
#[derive(Debug, Default)]
pub(crate) struct Args {
    words: Vec<String>,
}

impl Args {
    /// Takes the words after the verb.
    pub(crate) fn new(words: impl IntoIterator<Item = String>) -> Self {
        Self { words: words.into_iter().collect() }
    }

    /// Whether the flag was given; takes it out.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|word| word != name);
        self.words.len() < before
    }

    /// The value of `--name VALUE` or `--name=VALUE`; takes both out.
    ///
    /// # Errors
    /// When the option has no value.
    pub(crate) fn option(&mut self, name: &str) -> Result<Option<String>> {
        let inline = |word: &String| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
        if let Some((at, value)) =
            self.words.iter().enumerate().find_map(|(at, word)| Some((at, inline(word)?)))
        {
            self.words.remove(at);
            return Ok(Some(value));
        }
        let Some(at) = self.words.iter().position(|word| word == name) else { return Ok(None) };
        self.words.remove(at);
        if at >= self.words.len() {
            bail!("{name} needs a value");
        }
        Ok(Some(self.words.remove(at)))
    }

    /// The words left, at most `N`; the others are absent.
    ///
    /// # Errors
    /// When an unknown option or too many words are left.
    pub(crate) fn positional<const N: usize>(self) -> Result<[Option<String>; N]> {
        let words = self.words()?;
        if let Some(word) = words.get(N) {
            bail!("unexpected argument {word}; see cargo xtask --help");
        }
        let mut words = words.into_iter();
        Ok(std::array::from_fn(|_| words.next()))
    }

    /// All the words left.
    ///
    /// # Errors
    /// When an unknown option is among them.
    pub(crate) fn words(self) -> Result<Vec<String>> {
        if let Some(option) = self.words.iter().find(|word| word.starts_with('-')) {
            bail!("unknown option {option}; see cargo xtask --help");
        }
        Ok(self.words)
    }

    /// The words left, to be handed to another program.
    pub(crate) fn rest(self) -> Vec<String> {
        self.words
    }
}

#[cfg(test)]
mod tests {
    use super::Args;

    fn args(text: &str) -> Args {
        Args::new(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_options_and_words_are_told_apart() {
        let mut args = args("argv --diff x --to=y --verbose dir");
        assert!(args.flag("--verbose") && !args.flag("--quiet"));
        assert_eq!(args.option("--diff").unwrap().as_deref(), Some("x"));
        assert_eq!(args.option("--to").unwrap().as_deref(), Some("y"));
        assert_eq!(args.option("--none").unwrap(), None);
        assert_eq!(args.positional().unwrap(), [Some("argv".to_owned()), Some("dir".to_owned()), None]);
    }

    #[test]
    fn wrong_words_are_refused() {
        assert!(args("--diff").option("--diff").is_err());
        assert!(args("--what").positional::<1>().is_err());
        assert!(args("a b").positional::<1>().is_err());
    }
}
