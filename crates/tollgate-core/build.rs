//! Compiles the messages of `proto/` with protox, so that no protoc is needed.

use std::path::PathBuf;
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build.rs");

    let mut protos: Vec<PathBuf> = Vec::new();
    for package in ["proto/tollgate/v1", "proto/tollgate/export/v1"] {
        for entry in fs::read_dir(package)? {
            protos.push(entry?.path());
        }
    }
    protos.sort();

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(&protos)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptor.bin"), compiler.encode_file_descriptor_set())?;

    // Without a generator of services, messages are all that comes out.
    let mut config = prost_build::Config::new();
    config.enable_type_names().bytes(["."]).btree_map(["."]);
    config.compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
