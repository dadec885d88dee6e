//! How busy the connections are.

use sea_orm::{DatabaseConnection, DbBackend};

use super::Store;

/// The connections for one purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pool {
    /// The purpose.
    pub name: &'static str,
    /// Connections that wait for work.
    pub idle: u32,
    /// Connections that are at work.
    pub busy: u32,
    /// The most that there may be.
    pub max: u32,
}

impl Store {
    /// The state of the connections.
    pub fn pools(&self) -> [Pool; 2] {
        let pool = |name, connection: &DatabaseConnection| {
            let (size, idle, max) = size(connection);
            let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(size);
            Pool { name, idle, busy: size - idle, max }
        };
        [pool("writer", &self.writer), pool("readers", &self.readers)]
    }
}

fn size(connection: &DatabaseConnection) -> (u32, usize, u32) {
    match connection.get_database_backend() {
        DbBackend::Sqlite => {
            let pool = connection.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle(), pool.options().get_max_connections())
        }
        DbBackend::Postgres => {
            let pool = connection.get_postgres_connection_pool();
            (pool.size(), pool.num_idle(), pool.options().get_max_connections())
        }
        // Not among the engines of this build.
        _ => (0, 0, 0),
    }
}
