//! A stand-in for the API server of Kubernetes: Services, Deployments and one HTTPRoute of the Gateway API, in the shapes
//! that these document.
//!
//! - <https://kubernetes.io/docs/reference/kubernetes-api/>
//! - <https://gateway-api.sigs.k8s.io/reference/spec/>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::demo::journal::{Journal, has};

/// The namespace that it knows.
pub const NAMESPACE: &str = "shop";
/// The service, and its route.
pub const SERVICE: &str = "checkout";
/// The version that has all of the traffic.
pub const STABLE: &str = "checkout-r41";
/// What it is called where it is told what it got.
pub const KUBERNETES: &str = "Kubernetes";
/// How long it takes until new pods are available, in milliseconds.
const AVAILABLE_MS: i64 = 1_500;

/// A cluster.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    journal: Journal,
    token: String,
    /// Whether pods of a new version end as soon as they begin.
    crashes: bool,
    objects: Mutex<Objects>,
}

struct Objects {
    services: BTreeMap<String, Value>,
    deployments: BTreeMap<String, Deployment>,
    backends: Value,
}

struct Deployment {
    object: Value,
    since_ms: i64,
}

type Answer = (StatusCode, Value);

impl Cluster {
    /// One in which the stable version has all of the traffic.
    pub fn new(journal: Journal, token: String, crashes: bool) -> Self {
        let object = json!({ "metadata": { "name": STABLE, "namespace": NAMESPACE }, "spec": { "replicas": 3 } });
        let objects = Objects {
            services: BTreeMap::from([(STABLE.to_owned(), object.clone())]),
            deployments: BTreeMap::from([(STABLE.to_owned(), Deployment { object, since_ms: 0 })]),
            backends: json!([{ "group": "", "kind": "Service", "name": STABLE, "port": 80, "weight": 100 }]),
        };
        Self(Arc::new(Inner { journal, token, crashes, objects: Mutex::new(objects) }))
    }

    /// Its calls.
    pub fn router(&self) -> Router {
        let (core, apps) = ("/api/v1/namespaces/{namespace}", "/apis/apps/v1/namespaces/{namespace}");
        let route = "/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/{name}";
        Router::new()
            .route(&format!("{core}/services"), post(create_service))
            .route(&format!("{core}/services/{{name}}"), delete(delete_service))
            .route(&format!("{apps}/deployments"), post(create_deployment))
            .route(&format!("{apps}/deployments/{{name}}"), get(deployment).delete(delete_deployment))
            .route(route, get(http_route).patch(shift))
            .with_state(self.clone())
    }

    /// What a version has of the traffic, in percent.
    pub fn weight(&self, name: &str) -> i64 {
        let objects = self.objects();
        let backends = objects.backends.as_array().into_iter().flatten();
        backends.filter(|backend| backend["name"] == *name).filter_map(|backend| backend["weight"].as_i64()).sum()
    }

    /// Names of the Services and of the Deployments.
    pub fn names(&self) -> (Vec<String>, Vec<String>) {
        let objects = self.objects();
        (objects.services.keys().cloned().collect(), objects.deployments.keys().cloned().collect())
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is answered to somebody who may not ask, or asks for another namespace.
    fn refused(&self, headers: &HeaderMap, namespace: &str) -> Option<Answer> {
        if !has(headers, "authorization", &format!("Bearer {}", self.0.token)) {
            return Some(status(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized"));
        }
        let message = format!("namespaces \"{namespace}\" not found");
        (namespace != NAMESPACE).then(|| status(StatusCode::NOT_FOUND, "NotFound", &message))
    }

    fn shown(&self, deployment: &Deployment) -> Value {
        let replicas = &deployment.object["spec"]["replicas"];
        let is_new = deployment.since_ms > 0;
        let waits = is_new && (self.0.crashes || self.0.journal.now_ms() - deployment.since_ms < AVAILABLE_MS);
        let mut shown = deployment.object.clone();
        shown["status"] = json!({ "replicas": replicas, "updatedReplicas": replicas });
        if !waits {
            shown["status"]["availableReplicas"] = replicas.clone();
        }
        shown
    }

    fn shown_route(&self) -> Value {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": { "name": SERVICE, "namespace": NAMESPACE },
            "spec": {
                "parentRefs": [{ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shop" }],
                "rules": [{ "backendRefs": self.objects().backends }],
            },
        })
    }
}

/// What the API server says where it does not give an object.
fn status(code: StatusCode, reason: &str, message: &str) -> Answer {
    let value = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    });
    (code, value)
}

fn exists(kind: &str, name: &str) -> Answer {
    status(StatusCode::CONFLICT, "AlreadyExists", &format!("{kind} \"{name}\" already exists"))
}

fn missing(kind: &str, name: &str) -> Answer {
    status(StatusCode::NOT_FOUND, "NotFound", &format!("{kind} \"{name}\" not found"))
}

fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

async fn create_service(
    State(cluster): State<Cluster>,
    Path(namespace): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let name = name_of(&body);
    let answer = cluster.refused(&headers, &namespace).unwrap_or_else(|| {
        let mut objects = cluster.objects();
        if name.is_empty() || body["kind"] != "Service" {
            return status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", "it is no Service with a name");
        }
        if objects.services.contains_key(&name) {
            return exists("services", &name);
        }
        objects.services.insert(name.clone(), body.clone());
        (StatusCode::CREATED, body.clone())
    });
    cluster.0.journal.answer(KUBERNETES, &format!("create the Service {name}"), answer, body)
}

async fn delete_service(
    State(cluster): State<Cluster>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let answer =
        cluster.refused(&headers, &namespace).unwrap_or_else(|| match cluster.objects().services.remove(&name) {
            Some(object) => (StatusCode::OK, object),
            None => missing("services", &name),
        });
    cluster.0.journal.answer(KUBERNETES, &format!("delete the Service {name}"), answer, Value::Null)
}

async fn create_deployment(
    State(cluster): State<Cluster>,
    Path(namespace): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let name = name_of(&body);
    let answer = cluster.refused(&headers, &namespace).unwrap_or_else(|| {
        let mut objects = cluster.objects();
        let has_pods = body["spec"]["replicas"].as_i64().is_some_and(|replicas| replicas > 0);
        if name.is_empty() || body["kind"] != "Deployment" || !has_pods {
            return status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", "it is no Deployment with a name and replicas");
        }
        if objects.deployments.contains_key(&name) {
            return exists("deployments.apps", &name);
        }
        let since_ms = cluster.0.journal.now_ms();
        objects.deployments.insert(name.clone(), Deployment { object: body.clone(), since_ms });
        (StatusCode::CREATED, body.clone())
    });
    cluster.0.journal.answer(KUBERNETES, &format!("create the Deployment {name}"), answer, body)
}

async fn delete_deployment(
    State(cluster): State<Cluster>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let answer =
        cluster.refused(&headers, &namespace).unwrap_or_else(|| match cluster.objects().deployments.remove(&name) {
            Some(deployment) => (StatusCode::OK, deployment.object),
            None => missing("deployments.apps", &name),
        });
    cluster.0.journal.answer(KUBERNETES, &format!("delete the Deployment {name}"), answer, Value::Null)
}

async fn deployment(
    State(cluster): State<Cluster>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let answer =
        cluster.refused(&headers, &namespace).unwrap_or_else(|| match cluster.objects().deployments.get(&name) {
            Some(deployment) => (StatusCode::OK, cluster.shown(deployment)),
            None => missing("deployments.apps", &name),
        });
    cluster.0.journal.look(KUBERNETES, &format!("the Deployment {name}"), answer)
}

async fn http_route(
    State(cluster): State<Cluster>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let answer = cluster.refused(&headers, &namespace).unwrap_or_else(|| match name == SERVICE {
        true => (StatusCode::OK, cluster.shown_route()),
        false => missing("httproutes.gateway.networking.k8s.io", &name),
    });
    cluster.0.journal.answer(KUBERNETES, &format!("the route {name}"), answer, Value::Null)
}

/// A merge patch: a list takes the place of another as a whole.
async fn shift(
    State(cluster): State<Cluster>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let backends = &body["spec"]["rules"][0]["backendRefs"];
    let told = backends
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| format!("{} {} %", one["name"].as_str().unwrap_or("?"), one["weight"]));
    let what = format!("shift: {}", told.collect::<Vec<_>>().join(", "));
    let answer = cluster.refused(&headers, &namespace).unwrap_or_else(|| {
        let is_whole = backends.as_array().is_some_and(|all| {
            !all.is_empty()
                && all.iter().all(|one| one["name"].is_string() && one["weight"].as_i64().is_some_and(|w| w >= 0))
        });
        if name != SERVICE {
            return missing("httproutes.gateway.networking.k8s.io", &name);
        }
        if !has(&headers, "content-type", "application/merge-patch+json") {
            let message = "the body of the request was in an unknown format";
            return status(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message);
        }
        if !is_whole {
            return status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", "spec.rules[0].backendRefs: Invalid value");
        }
        cluster.objects().backends = backends.clone();
        (StatusCode::OK, cluster.shown_route())
    });
    cluster.0.journal.answer(KUBERNETES, &what, answer, body)
}
