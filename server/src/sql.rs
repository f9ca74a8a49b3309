//! Questions to the audit trail.
use crate::api::ApiError;
use crate::config;
use crate::engine::Engine;
use serde::Deserialize;
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Table,
    Json,
    Csv,
}
pub struct Sql;
impl Sql {
    pub fn new(_: &config::ClickHouse, _: &config::Api, _: Option<&Engine>) -> anyhow::Result<Self> {
        todo!()
    }
    pub async fn query(&self, _: &str, _: Format) -> Result<Vec<u8>, ApiError> {
        todo!()
    }
    pub async fn trace(&self, _: &str, _: Format) -> Result<Vec<u8>, ApiError> {
        todo!()
    }
    pub async fn reconcile(&self, _: Format) -> Result<Vec<u8>, ApiError> {
        todo!()
    }
}
impl Sql {
    pub async fn history(&self, _: &str) -> Result<Option<serde_json::Value>, ApiError> {
        todo!()
    }
    pub async fn output(&self, _: &str) -> Result<serde_json::Value, ApiError> {
        todo!()
    }
}
