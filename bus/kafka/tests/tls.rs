//! TLS and signing in are built in, as brokers ask for them: OpenSSL is compiled without what librdkafka cannot
//! reach (`deploy/build/openssl-without.txt`), and this is what it has to reach.

use std::path::Path;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;

/// A client that would talk TLS 1.2 and 1.3; librdkafka reads everything when the client is made.
fn client(mechanism: &str, password: &str) -> Result<BaseProducer, KafkaError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", "127.0.0.1:1")
        .set("security.protocol", "sasl_ssl")
        .set("sasl.mechanism", mechanism)
        .set("sasl.username", "petrel")
        .set("sasl.password", "petrel")
        .set("ssl.ca.location", folder.join("authority.pem").display().to_string())
        .set("ssl.keystore.location", folder.join("keystore.p12").display().to_string())
        .set("ssl.keystore.password", password)
        .set(
            "ssl.cipher.suites",
            "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305",
        )
        .set("ssl.curves.list", "X25519:P-256:P-384")
        .set("ssl.sigalgs.list", "ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA512:ed25519");
    config.create()
}

#[test]
fn a_client_reads_an_authority_and_a_key_store_and_signs_in() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        if let Err(error) = client(mechanism, "petrel") {
            panic!("{mechanism}: {error}");
        }
    }
}

#[test]
fn a_key_store_is_opened_and_not_passed_over() {
    let Err(error) = client("PLAIN", "wrong") else { panic!("opened with a wrong password") };
    assert!(error.to_string().contains("PKCS#12"), "{error}");
}

#[test]
fn librdkafka_has_what_is_promised() {
    let features = ClientConfig::new().create_native_config().unwrap().get("builtin.features").unwrap();
    for feature in ["ssl", "sasl_plain", "sasl_scram", "sasl_oauthbearer", "gzip", "snappy", "lz4", "zstd"] {
        assert!(features.split(',').any(|built| built == feature), "{feature} is not among {features}");
    }
}
