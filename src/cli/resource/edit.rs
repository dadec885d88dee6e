//! `tollgate edit`: a resource as a document in an editor.

use std::io::{IsTerminal as _, Write as _};
use std::process::Command;

use clap::Args;
use prost_reflect::Value;

use super::api::{Api, Call, mask, number, resource, text};
use super::find::{find, resolve};
use super::place::Places;
use super::shown::Output;
use super::subject::kind;
use super::write::told;
use crate::cli::Failure;
use crate::cli::files;
use crate::cli::files::render::document;
use crate::cli::remote::RemoteArgs;
use crate::cli::wait::WaitArgs;
use crate::domain::Kind;

#[derive(Args, Debug)]
#[command(after_help = "\
The editor is that of VISUAL or EDITOR, else vi. If somebody else changed the resource meanwhile, nothing is changed, and the \
text is kept.

Example:
  EDITOR='code --wait' tollgate edit rule cheap")]
pub(in crate::cli) struct EditArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// The kind
    #[arg(value_name = "KIND", value_parser = kind)]
    kind: Kind,

    /// Name, path or id
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    wait: WaitArgs,
}

pub(in crate::cli) async fn run(args: EditArgs) -> Result<(), Failure> {
    let EditArgs { remote, kind, name, wait } = args;
    let api = Api { server: remote.connect().await? };
    let before = find(&api, kind, &name).await?;
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = variable("VISUAL").or_else(|| variable("EDITOR"));
    if editor.is_none() && !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("there is no terminal for vi; name another editor in EDITOR, or use update".into()));
    }
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    let original = document(&before, &Places::of(&api, std::slice::from_ref(&before)).await?);
    let mut file = tempfile::Builder::new().prefix("tollgate-").suffix(".yaml").tempfile()?;
    let revision = number(&before, "revision");
    let head = format!("# At revision {revision}. Save and quit to change it; leave it as it is to change nothing.\n");
    file.write_all(format!("{head}{original}").as_bytes())?;
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("vi"));
    let ended = command.args(words).arg(file.path()).status();
    let ended =
        ended.map_err(|error| Failure::Failed(format!("the editor {editor:?} cannot be started: {error}").into()))?;
    if !ended.success() {
        return Err(Failure::Failed(format!("the editor {editor:?} failed; nothing was changed").into()));
    }
    let edited = std::fs::read_to_string(file.path())?;
    if edited.trim_start_matches(head.as_str()) == original {
        return Err(Failure::Failed("nothing was changed in the editor".into()));
    }
    let sent = async {
        let documents = files::load(&[file.path().to_owned()])?;
        let [document] = documents.as_slice() else {
            return Err(Failure::Failed("one document was edited, and there are others now".into()));
        };
        if document.kind != kind {
            return Err(Failure::Failed("the kind of a resource cannot change".into()));
        }
        let mut message = document.message().ok_or_else(|| Failure::Failed("the document is of no kind".into()))?;
        resolve(&api, &mut message).await?;
        message.set_field_by_name("id", Value::String(text(&before, "id")));
        message.set_field_by_name("revision", Value::I64(revision));
        let mask = mask(vec!["*".to_owned()])?;
        let call = Call::of(kind, "Update")?.with(kind.name(), Value::Message(message));
        resource(&api.call(call.with("update_mask", mask)).await?)
    };
    let after = match sent.await {
        Ok(after) => after,
        Err(why) => {
            if let Ok((_, kept)) = file.keep() {
                eprintln!("tollgate: the text is kept in {}", kept.display());
            }
            return Err(why);
        }
    };
    let did = if number(&after, "revision") == revision { "is so already" } else { "updated" };
    told(&api, kind, did, &after, if remote.json { Output::Json } else { Output::Table }).await?;
    wait.wait(&api.server, number(&after, "revision")).await
}
