//! Compiles the services of `proto/` with protox, so that no protoc is needed. Their messages are those of
//! `tollgate-core`, their clients those of `tollgate-node`.

use std::path::PathBuf;
use std::{error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/tollgate/v1");
    println!("cargo:rerun-if-changed=build.rs");

    let mut protos: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir("proto/tollgate/v1")? {
        protos.push(entry?.path());
    }
    protos.sort();

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(&protos)?;
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(".tollgate.v1", "::tollgate_core::proto::v1")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
