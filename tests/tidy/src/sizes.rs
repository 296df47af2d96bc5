//! Files and functions stay small enough to be read in one go.

use crate::Violation;
use crate::source::Source;

/// The most lines of a file, inline test modules not counted.
const FILE_LINES: usize = 600;
/// The most lines of a function, of tests too.
const FUNCTION_LINES: usize = 100;

/// Every file and function above its limit.
#[must_use]
pub fn violations(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources {
        let lines = source.production_lines();
        if lines > FILE_LINES {
            found.push(format!(
                "{}: {lines} lines, the limit is {FILE_LINES}: a file is one idea; split it by meaning",
                source.path
            ));
        }
        for function in source.functions().into_iter().filter(|function| function.lines > FUNCTION_LINES) {
            found.push(format!(
                "{}:{}: fn {} has {} lines, the limit is {FUNCTION_LINES}: name its steps and call them",
                source.path, function.line, function.name, function.lines
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::violations;
    use crate::source::Source;

    #[test]
    fn long_files_and_functions_are_found() {
        let function = format!("fn a() {{\n{}}}\n", "    b();\n".repeat(100));
        assert_eq!(violations(&[Source::new("x.rs", function)]).len(), 1);
        assert_eq!(violations(&[Source::new("x.rs", "const A: u8 = 1;\n".repeat(601))]).len(), 1);
        assert!(violations(&[Source::new("x.rs", "const A: u8 = 1;\n".repeat(600))]).is_empty());
    }
}
