//! The broker of the tests, tested with Kafka's own tools: it keeps its data over a kill and a stop.

use petrel_testkit::{KafkaBroker, broker_metadata, kafka_or_skip, shared_kafka};

const PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";
const CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";

fn consume(broker: &KafkaBroker, topic: &str, count: usize) -> Vec<String> {
    let count = count.to_string();
    let arguments = ["--topic", topic, "--from-beginning", "--max-messages", &count, "--timeout-ms", "60000"];
    let output = broker.tool(CONSUMER, &arguments, "").unwrap();
    output.lines().map(str::to_owned).collect()
}

#[test]
fn a_broker_keeps_its_data_over_kill9_and_stop() {
    if !kafka_or_skip() {
        return;
    }
    let mut broker = KafkaBroker::start().unwrap();
    let before = broker_metadata(&broker.bootstrap()).unwrap();
    assert_eq!(before.brokers, [(1, broker.bootstrap())]);

    broker.create_topic("greetings", 1, &["max.message.bytes=12000000"]).unwrap();
    broker.tool(PRODUCER, &["--topic", "greetings", "--producer-property", "acks=all"], "one\ntwo\n").unwrap();
    assert_eq!(consume(&broker, "greetings", 2), ["one", "two"]);

    broker.kill9();
    assert!(broker_metadata(&broker.bootstrap()).is_err(), "killed, and still it answers");
    broker.start_again().unwrap();
    assert_eq!(broker_metadata(&broker.bootstrap()).unwrap(), before, "same cluster, same ports");
    broker.tool(PRODUCER, &["--topic", "greetings"], "three\n").unwrap();

    broker.stop().unwrap();
    broker.start_again().unwrap();
    assert_eq!(consume(&broker, "greetings", 3), ["one", "two", "three"]);
    assert!(broker.start_again().is_err(), "it runs already");

    let dir = broker.dir().to_owned();
    let address = broker.bootstrap();
    drop(broker);
    assert!(broker_metadata(&address).is_err(), "dropped, and still it answers");
    assert!(!dir.exists(), "{} is left behind", dir.display());
}

#[test]
fn topics_come_only_when_they_are_created() {
    let Some(address) = shared_kafka() else { return };
    assert!(broker_metadata(address).unwrap().is_ready());
    assert_eq!(shared_kafka(), Some(address), "one broker for all");
}
