//! `tollgate migrate`, `export` and `import`, as an operator runs them.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use super::*;
use crate::engine::on_postgres;
use crate::watch::rig::Rig;

/// Runs the program to its end: exit code, standard output, standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let output = command.args(args).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn path(database: &Database, name: &str) -> String {
    database.directory().join(name).display().to_string()
}

#[test]
fn migrations_are_listed_and_applied() {
    let database = Database::new();
    let on = ["--database", &database.settings.url];
    let status = || run(&["migrate", "status", on[0], on[1]]);
    let up = || run(&["migrate", "up", on[0], on[1]]);
    if !on_postgres() {
        let (code, _, error) = status();
        assert_eq!((code, error.contains("there is no database")), (1, true), "{error}");
    }
    let (code, applied, _) = up();
    assert_eq!(code, 0);
    assert!(applied.starts_with("applied m0001_first\napplied m0002_usage\n"), "{applied}");
    let (code, list, _) = status();
    assert_eq!((code, list.lines().count()), (0, applied.lines().count() + 1), "{list}");
    assert!(list.starts_with("MIGRATION") && !list.contains("pending"), "{list}");
    assert_eq!(up(), (0, "nothing is pending\n".to_owned(), String::new()));
    assert_eq!(run(&["migrate", "up", "--database", "mysql://h/d"]).0, 2);
    assert_eq!(run(&["migrate", "sideways"]).0, 2);
}

#[tokio::test]
async fn a_file_is_whole_private_and_never_replaced_by_accident() {
    let (mut rig, api) = Rig::started().await;
    api.team("one").await;
    let database = rig.database.settings.url.clone();
    let file = path(&rig.database, "export.jsonl");
    let of = |flags: &[&str]| {
        let args = [&["export", "--database", &database][..], flags].concat();
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        tokio::task::spawn_blocking(move || run(&args.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let (code, out, error) = of(&["--output", &file]).await.unwrap();
    assert_eq!((code, out.as_str()), (0, ""), "{error}");
    assert!(error.starts_with("exported 24 records at revision "), "{error}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(records(&written).len(), 24);

    let (code, out, _) = of(&[]).await.unwrap();
    assert_eq!((code, records(&out)), (0, records(&written)));
    std::fs::write(&file, "mine").unwrap();
    let (code, _, error) = of(&["--output", &file]).await.unwrap();
    assert_eq!((code, std::fs::read_to_string(&file).unwrap().as_str()), (1, "mine"));
    assert!(error.contains("export.jsonl exists; choose another name, or replace it with --force"), "{error}");
    assert_eq!(of(&["--output", &file, "--force"]).await.unwrap().0, 0);
    assert_eq!(records(&std::fs::read_to_string(&file).unwrap()), records(&written));
    let (code, _, error) = of(&["--output", &path(&rig.database, "no/such/place")]).await.unwrap();
    assert_eq!((code, error.contains("no/such/place (--output): ")), (1, true), "{error}");
    drop(api);
    rig.stop().await;
    let left: Vec<_> = std::fs::read_dir(rig.database.directory()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".tollgate")), "{left:?}");

    let target = Database::new();
    let into = |input: &str| run(&["import", "--database", &target.settings.url, "--input", input]);
    let (code, _, error) = into(&path(&rig.database, "absent"));
    assert_eq!((code, error.contains("absent (--input): ")), (1, true), "{error}");
    let (code, out, error) = into(&file);
    assert_eq!((code, out.as_str()), (0, "imported 24 records; the store is at revision 24\n"), "{error}");
    let (code, _, error) = into(&file);
    assert_eq!((code, error.contains("the database is not empty; import into a new one")), (1, true), "{error}");
    let (code, said, error) = run(&["verify", "--database", &target.settings.url]);
    assert_eq!((code, said.contains("all of it agrees")), (0, true), "{said}{error}");
}
