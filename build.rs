//! Compiles `proto/` with protox, so that no protoc is needed.
//!
//! Two passes: all messages, clients and servers; then once more the server of `ConfigService`, whose responses are
//! bytes encoded once and shared by all streams (`watch::Frame`) instead of messages encoded per stream.

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
    let descriptors = compiler.file_descriptor_set();

    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure().bytes(".").btree_map(".").compile_fds_with_config(descriptors.clone(), config)?;

    let shared = out.join("shared");
    fs::create_dir_all(&shared)?;
    let mut config_service = descriptors;
    for file in &mut config_service.file {
        if file.name() != "tollgate/v1/config_service.proto" {
            file.service.clear();
        }
    }
    tonic_prost_build::configure()
        .build_client(false)
        .out_dir(shared)
        .extern_path(".tollgate.v1.WatchConfigResponse", "crate::watch::Frame")
        .extern_path(".tollgate.v1", "crate::proto::v1")
        .compile_fds(config_service)?;
    Ok(())
}
