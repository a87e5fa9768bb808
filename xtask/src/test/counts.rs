//! What the test harness printed, summed over all test binaries.

/// Sums of the harness's result lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TestCounts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) ignored: usize,
    pub(crate) failed_names: Vec<String>,
    started: usize,
    finished: usize,
}

impl TestCounts {
    /// Takes in one line of output; most lines say nothing.
    pub(crate) fn read_line(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(result) = line.strip_prefix("test result: ") {
            self.finished += 1;
            self.read_result(result);
        } else if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.failed_names.push(name.to_owned());
        } else if is_opening(line) {
            self.started += 1;
        }
    }

    /// How many test binaries began and never came to their result line; `None` when all did.
    pub(crate) fn binaries_unfinished(&self) -> Option<usize> {
        self.started.checked_sub(self.finished).filter(|unfinished| *unfinished > 0)
    }

    /// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
    fn read_result(&mut self, result: &str) {
        let figures = result.split_once(". ").map_or("", |(_, figures)| figures);
        for figure in figures.split("; ") {
            match figure.split_once(' ').and_then(|(number, what)| Some((number.parse::<usize>().ok()?, what))) {
                Some((number, "passed")) => self.passed += number,
                Some((number, "failed")) => self.failed += number,
                Some((number, "ignored")) => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// Whether this is the harness's `running 3 tests`.
fn is_opening(line: &str) -> bool {
    let count =
        line.strip_prefix("running ").and_then(|rest| rest.strip_suffix(" tests").or(rest.strip_suffix(" test")));
    count.is_some_and(|count| count.parse::<usize>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts_of(output: &str) -> TestCounts {
        let mut counts = TestCounts::default();
        output.lines().for_each(|line| counts.read_line(line));
        counts
    }

    #[test]
    fn results_are_summed_over_binaries() {
        let counts = counts_of(
            "\nrunning 3 tests\ntest a ... ok\ntest b::c ... FAILED\ntest d ... ignored, slow\n\
             test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
             \nrunning 1 test\ntest e ... ok\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.00s\n",
        );
        assert_eq!((counts.passed, counts.failed, counts.ignored), (2, 1, 1));
        assert_eq!(counts.failed_names, ["b::c"]);
        assert_eq!(counts.binaries_unfinished(), None);
    }

    #[test]
    fn a_binary_that_died_is_noticed() {
        let counts = counts_of("running 2 tests\ntest a ... ok\n");
        assert_eq!(counts.binaries_unfinished(), Some(1));
    }
}
