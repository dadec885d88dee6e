//! What stands beside the source, against it: `docs/operations.md` and `.dockerignore`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::architecture::sources;

/// The macros whose lines people are to act on; `event` is that of the line for each call.
const MACROS: [&str; 3] = ["tracing::warn!(", "tracing::error!(", "tracing::event!("];

#[test]
fn every_warning_and_error_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let mut messages = BTreeSet::new();
    for file in sources(&root.join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for name in MACROS {
            for (at, _) in code.match_indices(name) {
                let message = last_literal(&code[at + name.len()..]);
                messages.insert(message.unwrap_or_else(|| panic!("{}: {name} has no message", file.display())));
            }
        }
    }
    assert!(messages.len() > 20, "only {messages:?} were found");
    let missing: Vec<_> = messages.iter().filter(|message| !page.contains(&format!("`{message}`"))).collect();
    assert!(missing.is_empty(), "docs/operations.md does not explain {missing:#?}");
}

/// The last string literal among the arguments of a macro, as people see it; what is filled in is an ellipsis.
fn last_literal(arguments: &str) -> Option<String> {
    let (mut depth, mut last, mut rest) = (1, None, arguments.chars());
    while depth > 0 {
        match rest.next()? {
            '(' => depth += 1,
            ')' => depth -= 1,
            '"' => last = Some(literal(&mut rest)?),
            _ => {}
        }
    }
    last
}

/// The rest of a string literal.
fn literal(rest: &mut std::str::Chars<'_>) -> Option<String> {
    let mut text = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(text),
            '\\' => match rest.next()? {
                '\n' => *rest = rest.as_str().trim_start().chars(),
                escaped => text.push(escaped),
            },
            '{' => {
                rest.find(|c| *c == '}')?;
                text.push('…');
            }
            c => text.push(c),
        }
    }
}

/// Cargo reads what the image is built from, and misses nothing: a new target or package has to be let in.
#[cfg(unix)]
#[test]
fn the_image_is_built_from_all_that_cargo_asks_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let context = tempfile::tempdir().unwrap();
    let ignored = fs::read_to_string(root.join(".dockerignore")).unwrap();
    for kept in ignored.lines().filter_map(|line| line.strip_prefix('!')) {
        std::os::unix::fs::symlink(root.join(kept), context.path().join(kept)).unwrap();
    }
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--locked", "--format-version=1"])
        .current_dir(context.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
