//! A stand-in for Prometheus: `GET /api/v1/query`, <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::kubernetes::Cluster;
use crate::demo::journal::Journal;

/// What it is called where it is told what it got.
pub const PROMETHEUS: &str = "Prometheus";
/// From which share of the traffic on, in percent, something is wrong with the figures.
const FROM_PERCENT: i64 = 50;

/// What the figures of a new version are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figures {
    /// Hardly a request fails.
    Good,
    /// With half of the traffic a quarter of the requests fails.
    Bad,
    /// With half of the traffic nothing is known.
    Missing,
}

/// Who counts requests.
#[derive(Clone)]
pub struct Prometheus {
    journal: Journal,
    cluster: Cluster,
    version: &'static str,
    figures: Figures,
}

impl Prometheus {
    /// One that knows how much of the traffic a version has, and counts its requests.
    pub fn new(journal: Journal, cluster: Cluster, version: &'static str, figures: Figures) -> Self {
        Self { journal, cluster, version, figures }
    }

    /// Its call.
    pub fn router(&self) -> Router {
        Router::new().route("/api/v1/query", get(query)).with_state(self.clone())
    }

    /// The share of the requests that failed, of queries about the version; none where nobody knows.
    fn share(&self, query: &str) -> Option<&'static str> {
        let weight = self.cluster.weight(self.version);
        let is_known = weight > 0 && query.contains(&format!("service=\"{}\"", self.version));
        let share = match self.figures {
            Figures::Bad if weight >= FROM_PERCENT => Some("0.25"),
            Figures::Missing if weight >= FROM_PERCENT => None,
            Figures::Good | Figures::Bad | Figures::Missing => Some("0.0021"),
        };
        share.filter(|_| is_known)
    }
}

#[derive(serde::Deserialize)]
struct Wanted {
    query: String,
}

async fn query(State(prometheus): State<Prometheus>, Query(wanted): Query<Wanted>) -> Response {
    let now_s = prometheus.journal.now_ms() / 1000;
    let share = prometheus.share(&wanted.query);
    let samples: Vec<Value> = share.iter().map(|share| json!({ "metric": {}, "value": [now_s, share] })).collect();
    let answer = json!({ "status": "success", "data": { "resultType": "vector", "result": samples } });
    let what = format!("errors of {}: {}", prometheus.version, share.unwrap_or("nothing is known"));
    prometheus.journal.answer(PROMETHEUS, &what, (StatusCode::OK, answer), Value::Null)
}
