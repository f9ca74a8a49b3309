//! Migrations.

use petrel_audit::{Migrated, SqlClient, Table, TablesError, migrate};

use crate::http::run;
use crate::process::Engine;

#[tokio::test]
async fn they_run_once_and_may_run_again() {
    let engine = Engine::start();
    let (at, endpoint) = (engine.address(), engine.process.endpoint());
    assert_eq!(migrate(&endpoint, "petrel").await, Ok(Migrated { from: 0, to: 1 }));
    run(&at, "INSERT INTO petrel.catalog_revisions (revision) VALUES ('kept')");
    assert_eq!(migrate(&endpoint, "petrel").await, Ok(Migrated { from: 1, to: 1 }));
    // As after a crash between the last statement and the note that it is done.
    run(&at, "TRUNCATE TABLE petrel.schema_migrations");
    assert_eq!(migrate(&endpoint, "petrel").await, Ok(Migrated { from: 0, to: 1 }));
    assert_eq!(run(&at, "SELECT revision FROM petrel.catalog_revisions"), "kept\n");
    for table in Table::ALL {
        let sorted =
            format!("SELECT sorting_key FROM system.tables WHERE database = 'petrel' AND name = '{}'", table.name());
        let key = run(&at, &sorted);
        assert!(key.trim_end().ends_with("log_topic, log_partition, log_offset, log_row"), "{}: {key}", table.name());
    }
    run(&at, "INSERT INTO petrel.schema_migrations (version, name) VALUES (2, 'newer')");
    assert_eq!(migrate(&endpoint, "petrel").await, Err(TablesError::Newer { found: 2, known: 1 }));
    // Two processes at once, on another database.
    let (a, b) = tokio::join!(migrate(&endpoint, "both"), migrate(&endpoint, "both"));
    assert!(a.is_ok() && b.is_ok(), "{a:?} {b:?}");
    let client = SqlClient::new(endpoint, "both");
    let tables = client.query("SHOW TABLES", Default::default(), petrel_audit::Format::Csv).await.unwrap();
    assert!(String::from_utf8(tables).unwrap().contains("executions_latest"));
}
