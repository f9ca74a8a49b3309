use petrel_execution::runner::RunnerSpec;
use petrel_execution::{CompleteParameters, Delivery, ParameterError};

use super::*;
use crate::secrets::Opening;
use crate::worker::example::{EmptyPack, action};

/// Every secret is as long as one can be.
struct Long;

impl SecretSource for Long {
    fn open<'s>(&'s self, keys: &'s [String], _: i64) -> Opening<'s> {
        let long = |key: &String| SecretValue::new(format!("{key:.<16384}")).unwrap();
        Box::pin(async move { Ok(keys.iter().map(long).collect()) })
    }
}

/// Parameters that all hold secrets.
#[derive(Debug)]
struct Secret(Vec<String>);

impl CompleteParameters for Secret {
    fn complete(&self, given: &Value) -> Result<Value, ParameterError> {
        Ok(given.clone())
    }

    fn secrets(&self) -> &[String] {
        &self.0
    }
}

/// Opens that many secrets for an action of this runner.
async fn open_so_many(runner: &str, count: usize) -> Result<Opened, NotOpened> {
    let names: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
    let given = names.iter().map(|name| (name.clone(), Value::from(format!("${{secret.demo.{name}}}"))));
    let (parameters, task) = (Value::Object(given.collect()), crate::worker::attempt::tests::task());
    let runner = RunnerSpec::parse(runner, &Map::new(), &EmptyPack).unwrap();
    let action = action(runner, Delivery::AtLeastOnce, Arc::new(Secret(names)));
    open(&Long, &task, &action, parameters, 0).await
}

#[tokio::test]
async fn an_attempt_has_no_more_secrets_than_can_be_searched_for() {
    let opened = open_so_many("fail", 4).await.ok().unwrap();
    let text = format!("it is {}", opened.parameters["p3"].as_str().unwrap());
    assert_eq!(opened.mask.text(text), "it is ********");
    let Err(NotOpened::Failed(code, why)) = open_so_many("fail", 5).await else { panic!("they are opened") };
    assert_eq!(code, code::SECRET_UNUSABLE);
    assert!(why.contains("at most 65536 bytes; these have 81920"), "{why}");
}

/// However it is delivered: what ends with its claim has no secrets to wait for either.
#[tokio::test]
async fn what_does_nothing_has_names_of_secrets_and_no_values() {
    let opened = open_so_many("noop", 5).await.ok().unwrap();
    assert_eq!(opened.parameters["p4"], "${secret.demo.p4}");
    assert!(opened.mask.is_nothing());
}
