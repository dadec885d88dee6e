//! A whole store as a file, to move it to another database or another engine: `tollgate.export.v1`, whose proto file
//! describes it. Written from a snapshot of a store, line by line, and read into an empty one.
//!
//! | file | what |
//! |---|---|
//! | `line` | lines as JSON |
//! | `record` | what a store holds as lines, and back |
//! | `export`, `import` | whole files |
//!
//! What goes out comes in again, to the last bit: each record that was read is rendered once more, and must give the line
//! that it came from. So nothing on a line is ever passed over.

mod export;
mod import;
mod line;
mod record;

pub use export::{ExportError, export};
pub use import::{ImportError, Imported, import};
pub use line::{Fault, decode, encode};
pub use record::{parse, render};

/// The format of the files that are written. Those of all formats before it are read too.
pub const FORMAT: i32 = 3;
