//! Migrations.

use petrel_audit::{KeepDays, Migrated, SqlClient, Table, TablesError, keep, migrate};

use crate::http::run;
use crate::process::{Engine, wait_for};

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

#[tokio::test]
async fn rows_go_when_they_are_over_their_time_and_others_stay() {
    let engine = Engine::start();
    let (at, endpoint) = (engine.address(), engine.process.endpoint());
    migrate(&endpoint, "petrel").await.unwrap();
    // Both are there before a time is set: what an upgrade finds.
    for table in Table::ALL {
        for age in ["100", "1"] {
            let row = format!("(log_offset, recorded_at) VALUES ({age}, now64(3) - INTERVAL {age} DAY)");
            run(&at, &format!("INSERT INTO petrel.{} {row}", table.name()));
        }
    }
    let made = |table: Table| {
        let sql = format!(
            "SELECT metadata_modification_time, create_table_query FROM system.tables \
             WHERE database = 'petrel' AND name = '{}'",
            table.name()
        );
        run(&at, &sql)
    };
    let days = KeepDays { events: 50, rule_matches: 0, catalog_revisions: 0, ..KeepDays::default() };
    let days = KeepDays { executions: 99, criteria_errors: 99, dead_letters: 99, execution_output: 99, ..days };
    keep(&endpoint, "petrel", &days, &[]).await.unwrap();
    for table in Table::ALL {
        let wanted = if days.of(*table) == 0 { "100\n1\n" } else { "1\n" };
        wait_for("the rows that stay", || {
            let found = run(&at, &format!("SELECT log_offset FROM petrel.{} ORDER BY log_offset DESC", table.name()));
            (found == wanted).then_some(())
        });
    }
    // What is so already is not touched.
    let before: Vec<_> = Table::ALL.iter().map(|t| made(*t)).collect();
    keep(&endpoint, "petrel", &days, &[]).await.unwrap();
    assert_eq!(Table::ALL.iter().map(|t| made(*t)).collect::<Vec<_>>(), before);
    // Another time, and none, are set as well.
    keep(&endpoint, "petrel", &KeepDays { events: 80, ..days }, &[]).await.unwrap();
    assert!(made(Table::Events).contains("toIntervalDay(80)"), "{}", made(Table::Events));
    // An operator's own is left alone where that is asked for, and only there.
    let own = "TTL toDateTime(recorded_at) + toIntervalDay(7) DELETE WHERE log_row = 7";
    for table in [Table::Events, Table::RuleMatches] {
        run(&at, &format!("ALTER TABLE petrel.{} MODIFY {own}", table.name()));
    }
    keep(&endpoint, "petrel", &days, &[Table::Events]).await.unwrap();
    assert!(made(Table::Events).contains("WHERE log_row = 7"), "{}", made(Table::Events));
    assert!(!made(Table::RuleMatches).contains(" TTL "), "{}", made(Table::RuleMatches));
    keep(&endpoint, "petrel", &KeepDays::FOREVER, &[]).await.unwrap();
    assert!(Table::ALL.iter().all(|t| !made(*t).contains("TTL")), "{}", made(Table::Events));
}
