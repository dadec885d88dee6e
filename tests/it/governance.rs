//! `docs/governance.md` and `trials.md`, run: their files are applied, their commands are typed, and their output is compared
//! with what stands there. In it, `…` stands for any text within a line, and alone in a line for any lines.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::watch::rig::{Rig, soon};

/// A block of the page: its language, and its lines.
struct Block<'a> {
    language: &'a str,
    lines: Vec<&'a str>,
}

/// The sections of the page: the title and the blocks of each.
fn sections(page: &str) -> Vec<(&str, Vec<Block<'_>>)> {
    let mut sections: Vec<(&str, Vec<Block<'_>>)> = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```"), line.strip_prefix("## ")) {
            (None, Some(language), _) => open = Some(Block { language, lines: Vec::new() }),
            (Some(_), Some(_), _) => sections.last_mut().unwrap().1.extend(open.take()),
            (Some(block), None, _) => block.lines.push(line),
            (None, None, Some(title)) => sections.push((title, Vec::new())),
            (None, None, None) => {}
        }
    }
    sections
}

/// Whether `text` is `pattern` with something for each `…`.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether `lines` are those of `patterns`, where a lone `…` is any number of lines.
fn are_like(lines: &[&str], patterns: &[&str]) -> bool {
    match (patterns, lines) {
        ([], lines) => lines.is_empty(),
        (["…", others @ ..], lines) => {
            are_like(lines, others) || !lines.is_empty() && are_like(&lines[1..], patterns)
        }
        ([pattern, others @ ..], [line, rest @ ..]) => is_like(line.trim_end(), pattern) && are_like(rest, others),
        (_, []) => false,
    }
}

/// What a command prints, on standard output and on standard error, with the server's address in the environment.
async fn shell(command: &str, input: &str, rig: &Rig) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_tollgate")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{command} 2>&1")]).env("PATH", path);
    shell.env("TOLLGATE_SERVER", format!("http://{}", rig.address()));
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input = input.to_owned();
    let said = tokio::task::spawn_blocking(move || {
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().stdout
    });
    String::from_utf8(soon(said).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_situation_is_as_the_page_says() {
    run("docs/governance.md", 13).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_trial_of_what_failed_elsewhere_is_as_the_page_says() {
    run("tests/it/trials.md", 10).await;
}

/// Runs a page of so many sections.
async fn run(page: &str, count: usize) {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let sections = sections(&page);
    assert_eq!(sections.len(), count);
    let mut wrong = Vec::new();
    for (title, blocks) in sections {
        let (mut rig, api) = Rig::started().await;
        drop(api);
        for Block { language, lines } in blocks {
            if language == "yaml" {
                let said = shell("tollgate apply --yes -f - || echo FAILED", &lines.join("\n"), &rig).await;
                if said.contains("FAILED") {
                    wrong.push(format!("{title}: apply says {said}"));
                }
                continue;
            }
            assert_eq!(language, "console", "{title}");
            for call in lines.chunk_by(|_, next| !next.starts_with("$ ")) {
                let (command, expected) = (call[0].strip_prefix("$ ").unwrap(), &call[1..]);
                let said = shell(command, "", &rig).await;
                if !are_like(&said.lines().collect::<Vec<_>>(), expected) {
                    wrong.push(format!("{title}: {command}\n{said}\nand not\n{}", expected.join("\n")));
                }
            }
        }
        rig.stop().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn patterns_are_compared() {
    assert!(is_like("budget 7 of 9 used", "budget … of …") && is_like("a", "…") && !is_like("ab", "a"));
    assert!(!is_like("budget 7", "…8") && is_like("x8", "…8"));
    assert!(are_like(&["a", "b", "c"], &["…", "c"]) && are_like(&["c"], &["…", "c"]) && !are_like(&["a"], &["…", "c"]));
    assert!(!are_like(&["a", "b"], &["a"]) && are_like(&[], &["…"]));
}
