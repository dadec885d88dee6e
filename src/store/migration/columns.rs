//! Tables, columns and indexes as migrations write them, and how SQLite is brought to change a constraint.

use sea_orm_migration::prelude::*;

pub(super) fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().take()
}

pub(super) fn text_or_null(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().null().take()
}

pub(super) fn bigint(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

pub(super) fn bigint_or_null(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().null().take()
}

pub(super) fn int(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).integer().not_null().take()
}

pub(super) fn boolean(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).boolean().not_null().take()
}

pub(super) fn bytes(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).blob().not_null().take()
}

pub(super) fn bytes_or_null(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).blob().null().take()
}

pub(super) fn table(name: &'static str, columns: impl IntoIterator<Item = ColumnDef>) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name);
    for column in columns {
        table.col(column);
    }
    table
}

pub(super) fn composite_key(mut table: TableCreateStatement, columns: &[&'static str]) -> TableCreateStatement {
    let mut key = Index::create();
    for column in columns {
        key.col(*column);
    }
    table.primary_key(&mut key);
    table
}

/// An index that is named after its table and columns.
pub(super) fn index(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(format!("{table}_{}", columns.join("_"))).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}

/// Gives a table of SQLite these columns and checks. SQLite cannot drop a constraint: the rows move to another table, which
/// takes the name. The indexes of the table are gone after that.
pub(super) async fn rebuild(
    manager: &SchemaManager<'_>,
    name: &str,
    columns: Vec<ColumnDef>,
    checks: &[&'static str],
) -> Result<(), DbErr> {
    let names: Vec<String> = columns.iter().map(|column| format!("\"{}\"", column.get_column_name())).collect();
    let names = names.join(", ");
    let mut rebuilt = table("rebuilt", columns);
    for check in checks {
        rebuilt.check(Expr::cust(*check));
    }
    manager.create_table(rebuilt).await?;
    for sql in [
        format!("INSERT INTO rebuilt ({names}) SELECT {names} FROM {name}"),
        format!("DROP TABLE {name}"),
        format!("ALTER TABLE rebuilt RENAME TO {name}"),
    ] {
        manager.get_connection().execute_unprepared(&sql).await?;
    }
    Ok(())
}
