//! What the documents tell people to type does what they say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;

const OFFSITE: &str = env!("CARGO_BIN_EXE_offsite");

/// Those that name commands.
const DOCUMENTS: [&str; 7] = [
    "README.md",
    "deploy/README.md",
    "docs/api.md",
    "docs/architecture.md",
    "docs/authorization.md",
    "docs/operations.md",
    "docs/settings.md",
];

#[test]
fn the_five_minutes_of_the_readme_pass() {
    let scratch = tempfile::tempdir().unwrap();
    let photos = scratch.path().join("photos");
    std::fs::create_dir_all(photos.join("some")).unwrap();
    std::fs::write(photos.join("some/file"), "a photo").unwrap();
    let readme = read("README.md");
    let tour = readme.split("## Five minutes").nth(1).unwrap();
    let script = tour.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let printed = run_shell(scratch.path(), script);
    assert!(printed.contains("a photo"), "`backup cat` prints the file");
    assert_eq!(std::fs::read(scratch.path().join("restored/some/file")).unwrap(), b"a photo");
}

#[test]
fn the_run_book_for_a_lost_region_leads_to_a_new_one() {
    let scratch = tempfile::tempdir().unwrap();
    let photos = scratch.path().join("photos");
    std::fs::create_dir_all(photos.join("some")).unwrap();
    std::fs::write(photos.join("some/file"), "a photo").unwrap();
    let before = "offsite -q init --dir site
        export OFFSITE_CONFIG=$PWD/site/offsite.toml
        backup=$(offsite backup create $(offsite resource add photos --region us-east-1))
        copy=$(offsite copy $backup --to us-west-2)
        rm -rf site/us-east-1\n";
    let operations = read("docs/operations.md");
    let book = operations.split("\n## A region is lost\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let steps: Vec<&str> = book.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(steps.len(), 4);
    let after = "offsite backup ls --region us-east-2 --json";
    let printed = run_shell(scratch.path(), &format!("{before}{}{after}", steps.concat()));
    assert!(printed.contains("\"state\":\"AVAILABLE\""), "{printed}");
    assert_eq!(std::fs::read(scratch.path().join("restored/some/file")).unwrap(), b"a photo");
}

#[test]
fn the_page_of_settings_is_what_the_binary_prints() {
    let printed = Command::new(OFFSITE).args(["config", "reference"]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed == read("docs/settings.md"), "run `offsite config reference > docs/settings.md`");
}

#[test]
fn every_command_and_option_that_is_named_exists() {
    let mut checked = 0;
    for document in DOCUMENTS {
        for code in code_of(&read(document)) {
            if let Some(command) = code.strip_prefix("offsite ").filter(|command| *command != "help") {
                assert_exists(command, document);
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "only {checked} commands were found in the documents");
}

/// What the script prints; it has to end well.
#[track_caller]
fn run_shell(folder: &Path, script: &str) -> String {
    let script = format!("PATH={}:$PATH\n{script}", Path::new(OFFSITE).parent().unwrap().display());
    let mut shell = Command::new("bash");
    shell.args(["-eu", "-o", "pipefail", "-c", &script]).current_dir(folder);
    shell.env("HOME", folder).env_remove("OFFSITE_CONFIG");
    let ran = shell.output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// Asks the command for its help and looks for each option in it.
#[track_caller]
fn assert_exists(command: &str, document: &str) {
    let is_name = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut names: Vec<&str> = words.iter().copied().take_while(is_name).collect();
    let options = words.iter().filter(|word| word.starts_with("--"));
    let help = loop {
        let asked = Command::new(OFFSITE).args(&names).arg("--help").output().unwrap();
        // A name after the command's own may be an argument.
        let help = String::from_utf8(asked.stdout).unwrap();
        if help.contains(&format!("Usage: offsite {}", names.join(" "))) {
            break help;
        }
        assert!(names.pop().is_some(), "{document} names `offsite {command}`, which does not exist");
    };
    assert!(!names.is_empty() || words[0].starts_with("--"), "{document} names `offsite {command}`");
    for option in options {
        assert!(help.contains(option), "{document} names `offsite {command}`, which has no {option}");
    }
}

/// Lines of code blocks and spans between backticks.
fn code_of(markdown: &str) -> impl Iterator<Item = String> {
    let mut code = Vec::new();
    for (number, block) in markdown.split("```").enumerate() {
        if number % 2 == 1 {
            let lines = block.lines().skip(1).map(|line| line.split('#').next().unwrap());
            code.extend(lines.map(|line| line.trim().rsplit("$(").next().unwrap().trim_end_matches(')').to_owned()));
        } else {
            code.extend(block.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    code.into_iter()
}

fn read(document: &str) -> String {
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../.."].iter().collect();
    std::fs::read_to_string(root.join(document)).unwrap()
}
