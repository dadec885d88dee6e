//! What stands beside the source, against it: `docs/operations.md`, `.dockerignore`, and the options of the protos.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use prost::Message as _;
use prost_types::field_descriptor_proto::Label;
use tollgate::proto::FILE_DESCRIPTOR_SET;

use crate::architecture::sources;

/// The macros whose lines people are to act on; `event` is that of the line for each call.
const MACROS: [&str; 3] = ["tracing::warn!(", "tracing::error!(", "tracing::event!("];

#[test]
fn every_warning_and_error_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let mut messages = BTreeSet::new();
    let crates = root.join("crates");
    let rooms = [root.join("src"), crates.join("tollgate-core/src"), crates.join("tollgate-node/src")];
    for file in rooms.iter().flat_map(|room| sources(room)) {
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

/// The protos, without those that come with protobuf.
fn own_protos() -> Vec<prost_types::FileDescriptorProto> {
    let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    set.file.into_iter().filter(|file| file.package().starts_with("tollgate.")).collect()
}

#[test]
fn every_proto_has_the_options_that_generators_want() {
    for file in own_protos() {
        let (name, options) = (file.name().to_owned(), file.options.unwrap_or_default());
        let present = [
            options.csharp_namespace.is_some(),
            options.go_package.is_some(),
            options.java_multiple_files == Some(true),
            options.java_package.is_some(),
            options.php_namespace.is_some(),
            options.ruby_package.is_some(),
        ];
        assert_eq!(present, [true; 6], "{name} lacks an option of csharp, go, java, java, php, ruby");
    }
}

/// A list `x` gets a `getXCount` in Java, and so does a field `x_count`.
#[test]
fn no_two_fields_get_the_same_name_in_java() {
    for message in own_protos().iter().flat_map(|file| &file.message_type) {
        let names: BTreeSet<_> = message.field.iter().map(|field| field.name()).collect();
        let lists = message.field.iter().filter(|field| field.label() == Label::Repeated);
        let clashes: Vec<_> = lists.filter(|list| names.contains(format!("{}_count", list.name()).as_str())).collect();
        assert!(clashes.is_empty(), "{}: {clashes:?}", message.name());
    }
}

/// Generators whose numbers are doubles cannot hold all 64 bits otherwise. What is signed counts, and stays below 2^53.
#[test]
fn whatever_has_64_bits_without_a_sign_is_a_text_in_javascript() {
    use prost_types::field_descriptor_proto::Type;
    use prost_types::field_options::JsType;
    for message in own_protos().iter().flat_map(|file| &file.message_type) {
        for field in message.field.iter().filter(|field| matches!(field.r#type(), Type::Uint64 | Type::Fixed64)) {
            let js_type = field.options.as_ref().map(|options| options.jstype());
            assert_eq!(js_type, Some(JsType::JsString), "{}.{}", message.name(), field.name());
        }
    }
}
