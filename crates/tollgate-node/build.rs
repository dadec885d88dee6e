//! Compiles the clients of the control plane's services in `proto/`, the node's own services, and in `envoy/` those that Envoy
//! asks, with protox, so that no protoc is needed. The control plane's messages are those of `tollgate-core`.

use std::path::PathBuf;
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/tollgate/v1");
    println!("cargo:rerun-if-changed=proto/tollgate/node/v1");
    println!("cargo:rerun-if-changed=envoy");
    println!("cargo:rerun-if-changed=build.rs");

    let clients = tonic_prost_build::configure().build_server(false).build_transport(false);
    let clients = clients.extern_path(".tollgate.v1", "::tollgate_core::proto::v1");
    clients.compile_fds(compiled("proto", "proto/tollgate/v1")?.file_descriptor_set())?;

    let compiler = compiled("proto", "proto/tollgate/node/v1")?;
    // Apart, since a file comes out for every package that is looked at.
    let out = PathBuf::from(env::var("OUT_DIR")?).join("node");
    fs::create_dir_all(&out)?;
    fs::write(out.join("descriptor.bin"), compiler.encode_file_descriptor_set())?;
    let both = tonic_prost_build::configure().out_dir(out);
    let both = both.extern_path(".tollgate.v1", "::tollgate_core::proto::v1");
    let mut messages = tonic_prost_build::Config::new();
    messages.enable_type_names().btree_map(["."]);
    both.compile_fds_with_config(compiler.file_descriptor_set(), messages)?;

    let out = PathBuf::from(env::var("OUT_DIR")?).join("envoy");
    fs::create_dir_all(&out)?;
    let services = tonic_prost_build::configure().build_client(false).out_dir(out).include_file("services.rs");
    services.compile_fds(compiled("envoy", "envoy")?.file_descriptor_set())?;
    Ok(())
}

/// The files of a directory, compiled. Their imports begin at `root`.
fn compiled(root: &str, directory: &str) -> Result<protox::Compiler, Box<dyn Error>> {
    let mut protos: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(directory)? {
        protos.push(entry?.path());
    }
    protos.sort();
    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_imports(true).include_source_info(true).open_files(&protos)?;
    Ok(compiler)
}
