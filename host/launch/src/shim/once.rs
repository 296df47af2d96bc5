//! Answers to events that are given once, in place of what the launch says.

/// How many events may have one at a time.
const ANSWERS_MAX: usize = 16;

/// What one event is answered with, the next time it comes.
#[derive(Debug)]
struct Answer {
    event: String,
    commands: Vec<String>,
    /// Events that take it back.
    unless: Vec<String>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct AnswersOnce(Vec<Answer>);

/// There are as many as there may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl AnswersOnce {
    /// Takes one up, in the place of another for that event; without commands none is left.
    pub(crate) fn put(
        &mut self,
        event: String,
        commands: Vec<String>,
        unless: Vec<String>,
    ) -> Result<(), TooMany> {
        self.0.retain(|answer| answer.event != event);
        if commands.is_empty() {
            return Ok(());
        }
        if self.0.len() == ANSWERS_MAX {
            return Err(TooMany);
        }
        self.0.push(Answer { event, commands, unless });
        Ok(())
    }

    /// An event has come: its answer, if it has one here. Those that it takes back are gone.
    pub(crate) fn take(&mut self, event: &str) -> Option<Vec<String>> {
        self.0.retain(|answer| !answer.unless.iter().any(|name| name == event));
        let index = self.0.iter().position(|answer| answer.event == event)?;
        Some(self.0.swap_remove(index).commands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn answer_is_given_once_and_to_its_event() {
        let mut once = AnswersOnce::default();
        once.put("SHUTDOWN".into(), words(&["a"]), words(&["RESET"])).unwrap();
        once.put("SHUTDOWN".into(), words(&["b", "c"]), words(&["RESET"])).unwrap();
        assert_eq!(once.take("STOP"), None);
        assert_eq!(once.take("SHUTDOWN"), Some(words(&["b", "c"])));
        assert_eq!(once.take("SHUTDOWN"), None);
    }

    #[test]
    fn answer_is_taken_back_by_an_event_or_a_call() {
        let mut once = AnswersOnce::default();
        once.put("SHUTDOWN".into(), words(&["a"]), words(&["RESET"])).unwrap();
        assert_eq!(once.take("RESET"), None);
        assert_eq!(once.take("SHUTDOWN"), None);
        once.put("SHUTDOWN".into(), words(&["a"]), vec![]).unwrap();
        once.put("SHUTDOWN".into(), vec![], vec![]).unwrap();
        assert_eq!(once.take("SHUTDOWN"), None);
    }

    #[test]
    fn there_are_never_more_than_a_few() {
        let mut once = AnswersOnce::default();
        for number in 0..ANSWERS_MAX {
            once.put(format!("E{number}"), words(&["a"]), vec![]).unwrap();
        }
        assert_eq!(once.put("MORE".into(), words(&["a"]), vec![]), Err(TooMany));
        assert_eq!(once.put("E0".into(), words(&["b"]), vec![]), Ok(()));
    }
}
