//! TLS to the database.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;
use tollgate::store::{DatabaseUrl, Store};

use super::*;
use crate::engine::cluster::{Cluster, own};
use crate::engine::name;
use crate::tls::Pki;

async fn open(url: &str) -> Result<(), String> {
    let opened = Store::open(&DatabaseUrl::parse(url).unwrap(), Store::MIN_CONNECTIONS).await;
    let store = opened.map_err(|error| error.to_string())?;
    store.close().await;
    Ok(())
}

#[tokio::test]
async fn the_database_is_believed_for_its_certificate_alone() {
    if !here() {
        return;
    }
    let (pki, directory) = (Pki::new(), TempDir::new().unwrap());
    let mut settings = vec!["fsync=off".to_owned(), "ssl=on".to_owned()];
    for (setting, file) in [("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key")] {
        let path = directory.path().join(file);
        fs::copy(pki.path(file), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        own(&path);
        settings.push(format!("{setting}='{}'", path.display()));
    }
    own(directory.path());
    let cluster = Cluster::start(&settings.iter().map(String::as_str).collect::<Vec<_>>());
    let created = cluster.create();
    let url = |host: &str, mode: &str, ca: &str| {
        let (port, name, ca) = (cluster.port, name(&created), pki.path(ca));
        format!("postgres://tollgate@{host}:{port}/{name}?sslmode={mode}&sslrootcert={}", ca.display())
    };

    let mut replicas = replicas(&Arc::new(Database::at(url("localhost", "verify-full", "ca.pem"))), 1).await;
    create(&replicas[0].1, "over TLS", "").await.unwrap();
    let connections = "SELECT bool_and(ssl), count(*) > 1 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                       WHERE application_name = 'tollgate'";
    assert_eq!(cluster.sql("postgres", connections), "t|t", "those that write, read and listen");
    replicas[0].0.stop().await;

    // The certificate is one for localhost.
    open(&url("127.0.0.1", "verify-ca", "ca.pem")).await.unwrap();
    for wrong in [
        url("127.0.0.1", "verify-full", "ca.pem"),
        url("localhost", "verify-full", "client-ca.pem"),
        url("localhost", "verify-ca", "client-ca.pem"),
        // A server without TLS.
        format!("{}&sslmode=require", Cluster::shared().create().replace("?host=", "?application_name=")),
    ] {
        let error = open(&wrong).await.unwrap_err();
        assert!(error.contains("no secured connection") && error.contains("sslrootcert"), "{wrong}: {error}");
    }
}
