//! Stand-ins for Keystone and Nova: the calls that the demo makes, in the shapes that these document.
//!
//! - `POST /v3/auth/tokens`: <https://docs.openstack.org/api-ref/identity/v3/>
//! - `GET /os-services`, `PUT /os-services/{id}`, `GET /servers/detail`, `GET /servers/{id}` and
//!   `POST /servers/{id}/action`: <https://docs.openstack.org/api-ref/compute/>
//!
//! An evacuation takes a while. One fails or hangs where the demo was told so, until somebody repairs the cloud.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::demo::journal::{Journal, has};

/// The host that fails.
pub const HOST: &str = "compute-3";
/// Hosts that have room.
const OTHERS: [&str; 2] = ["compute-4", "compute-5"];
/// Its VMs with the addresses of their owners.
pub const SERVERS: [(&str, &str); 6] = [
    ("vm-1", "ann@shop.example"),
    ("vm-2", "bob@shop.example"),
    ("vm-3", "ann@shop.example"),
    ("vm-4", "cem@shop.example"),
    ("vm-5", "bob@shop.example"),
    ("vm-6", "ann@shop.example"),
];
/// Id of the compute service of the host.
const SERVICE: &str = "e81d66a4-ddd3-4aba-8a84-171d1cb4d339";
/// How long it takes until a VM is elsewhere, in milliseconds.
const EVACUATION_MS: i64 = 1_500;
/// What the stand-in of Nova is called where it is told what it got.
pub const NOVA: &str = "Nova";

/// What goes wrong until the cloud is repaired.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// VMs for which no other host has room.
    pub fails: Vec<String>,
    /// VMs whose evacuation never ends.
    pub hangs: Vec<String>,
    /// Whether the host is up, whatever Masakari says.
    pub is_up: bool,
}

/// The id and the secret of an application credential.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

/// A cloud.
#[derive(Clone)]
pub struct Cloud(Arc<Inner>);

struct Inner {
    journal: Journal,
    credential: Credential,
    token: String,
    state: Mutex<CloudState>,
}

struct CloudState {
    faults: Faults,
    service: ServiceState,
    servers: Vec<Server>,
}

struct ServiceState {
    status: String,
    reason: Value,
}

struct Server {
    name: &'static str,
    owner: &'static str,
    host: &'static str,
    status: &'static str,
    /// When it began to move, if it does.
    moves_since_ms: Option<i64>,
}

impl Server {
    fn new((name, owner): (&'static str, &'static str)) -> Self {
        Self { name, owner, host: HOST, status: "ACTIVE", moves_since_ms: None }
    }

    fn id(&self) -> String {
        id_of(self.name)
    }

    /// Lets happen what has by now.
    fn go_on(&mut self, now_ms: i64, faults: &Faults) {
        let names = |all: &[String]| all.iter().any(|name| name == self.name);
        let Some(since_ms) = self.moves_since_ms.filter(|since_ms| now_ms - since_ms >= EVACUATION_MS) else { return };
        if names(&faults.hangs) {
            return;
        }
        self.moves_since_ms = None;
        if names(&faults.fails) {
            self.status = "ERROR";
        } else {
            (self.status, self.host) = ("ACTIVE", OTHERS[since_ms.unsigned_abs() as usize % OTHERS.len()]);
        }
    }

    fn shown(&self) -> Value {
        let is_moving = self.moves_since_ms.is_some();
        let mut shown = json!({
            "id": self.id(),
            "name": self.name,
            "status": if is_moving { "REBUILD" } else { self.status },
            "tenant_id": "6f70656e737461636b20342065766572",
            "metadata": { "owner": self.owner },
            "OS-EXT-SRV-ATTR:host": self.host,
            "OS-EXT-SRV-ATTR:hypervisor_hostname": self.host,
            "OS-EXT-STS:task_state": is_moving.then_some("rebuilding"),
            "OS-EXT-STS:vm_state": self.status.to_ascii_lowercase(),
        });
        if self.status == "ERROR" {
            let message = "No valid host was found. There are not enough hosts available.";
            shown["fault"] = json!({ "code": 500, "created": "2026-01-01T00:00:00Z", "message": message });
        }
        shown
    }
}

/// The id of a VM: the same in every run.
fn id_of(name: &str) -> String {
    let number = name.trim_start_matches("vm-");
    format!("f5dc173b-6804-445a-a6d8-c705dad5b{number:0>3}")
}

impl Cloud {
    /// A cloud that nobody has asked yet.
    pub fn new(journal: Journal, credential: Credential, token: String, faults: Faults) -> Self {
        let service = ServiceState { status: "enabled".to_owned(), reason: Value::Null };
        let state = CloudState { faults, service, servers: SERVERS.map(Server::new).into() };
        Self(Arc::new(Inner { journal, credential, token, state: Mutex::new(state) }))
    }

    /// Its calls.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v3/auth/tokens", post(token))
            .route("/v2.1/os-services", get(services))
            .route("/v2.1/os-services/{id}", put(set_service))
            .route("/v2.1/servers/detail", get(servers))
            .route("/v2.1/servers/{id}", get(server))
            .route("/v2.1/servers/{id}/action", post(act))
            .with_state(self.clone())
    }

    /// There is room again, and what hangs goes on.
    pub fn repair(&self) {
        let mut state = self.state();
        state.faults.fails.clear();
        state.faults.hangs.clear();
    }

    /// How often the evacuation of a VM was begun.
    pub fn evacuations(&self, name: &str) -> usize {
        self.0.journal.taken(NOVA, &format!("evacuate {name}"))
    }

    /// Names of the VMs that are on the host that has failed.
    pub fn left(&self) -> Vec<&'static str> {
        self.state().servers.iter().filter(|server| server.host == HOST).map(|server| server.name).collect()
    }

    /// Whether something new may be started on the host.
    pub fn is_enabled(&self) -> bool {
        self.state().service.status == "enabled"
    }

    /// How things stand now.
    fn state(&self) -> MutexGuard<'_, CloudState> {
        let now_ms = self.0.journal.now_ms();
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let CloudState { faults, servers, .. } = &mut *state;
        servers.iter_mut().for_each(|server| server.go_on(now_ms, faults));
        state
    }

    fn refused(&self, headers: &HeaderMap) -> Option<(StatusCode, Value)> {
        let message = "The request you have made requires authentication.";
        let error = json!({ "error": { "code": 401, "title": "Unauthorized", "message": message } });
        (!has(headers, "x-auth-token", &self.0.token)).then_some((StatusCode::UNAUTHORIZED, error))
    }
}

async fn token(State(cloud): State<Cloud>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let Credential { id, secret } = &cloud.0.credential;
    let given = &body["auth"]["identity"]["application_credential"];
    if given["id"] != **id || given["secret"] != **secret {
        let message = "The request you have made requires authentication.";
        let error = json!({ "error": { "code": 401, "title": "Unauthorized", "message": message } });
        return cloud.0.journal.look("Keystone", "a token", (StatusCode::UNAUTHORIZED, error));
    }
    // Nova is where Keystone was asked.
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let endpoint = json!({
        "id": "39dc322ce86c4111b4f06c2eeae0841b", "interface": "public", "region": "RegionOne",
        "url": format!("http://{host}/v2.1"),
    });
    let catalog = json!([{ "id": "4363ae44bdf34a3981fde3b823cb9aa2", "type": "compute", "name": "nova", "endpoints": [endpoint] }]);
    let answer = json!({ "token": {
        "methods": ["application_credential"], "expires_at": "2030-01-01T00:00:00.000000Z", "catalog": catalog,
    } });
    cloud.0.journal.keep("Keystone", "a token", StatusCode::CREATED.as_u16(), Value::Null);
    (StatusCode::CREATED, [("x-subject-token", cloud.0.token.clone())], Json(answer)).into_response()
}

#[derive(serde::Deserialize)]
struct OfHost {
    host: String,
}

async fn services(State(cloud): State<Cloud>, headers: HeaderMap, Query(wanted): Query<OfHost>) -> Response {
    let answer = cloud.refused(&headers).unwrap_or_else(|| {
        let state = cloud.state();
        let service = json!({
            "id": SERVICE, "binary": "nova-compute", "host": HOST, "zone": "nova",
            "status": state.service.status, "disabled_reason": state.service.reason,
            "state": if state.faults.is_up { "up" } else { "down" }, "forced_down": false,
        });
        let services: Vec<Value> = (wanted.host == HOST).then_some(service).into_iter().collect();
        (StatusCode::OK, json!({ "services": services }))
    });
    cloud.0.journal.answer(NOVA, &format!("the service of {}", wanted.host), answer, Value::Null)
}

async fn set_service(
    State(cloud): State<Cloud>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    let what = format!("{HOST} is {}", body["status"].as_str().unwrap_or("nothing"));
    let answer = match (cloud.refused(&headers), body["status"].as_str()) {
        (Some(answer), _) => answer,
        (None, Some(status @ ("enabled" | "disabled"))) if id == SERVICE => {
            let mut state = cloud.state();
            state.service = ServiceState { status: status.to_owned(), reason: body["disabled_reason"].clone() };
            let service = json!({
                "id": SERVICE, "binary": "nova-compute", "host": HOST, "status": status,
                "disabled_reason": body["disabled_reason"],
            });
            (StatusCode::OK, json!({ "service": service }))
        }
        _ => (StatusCode::NOT_FOUND, not_found(&format!("Compute service {id} could not be found."))),
    };
    cloud.0.journal.answer(NOVA, &what, answer, body)
}

fn not_found(message: &str) -> Value {
    json!({ "itemNotFound": { "code": 404, "message": message } })
}

async fn servers(State(cloud): State<Cloud>, headers: HeaderMap, Query(wanted): Query<OfHost>) -> Response {
    let answer = cloud.refused(&headers).unwrap_or_else(|| {
        let state = cloud.state();
        let servers = state.servers.iter().filter(|server| server.host == wanted.host).map(Server::shown);
        (StatusCode::OK, json!({ "servers": servers.collect::<Vec<_>>() }))
    });
    cloud.0.journal.answer(NOVA, &format!("the VMs of {}", wanted.host), answer, Value::Null)
}

async fn server(State(cloud): State<Cloud>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let answer = cloud.refused(&headers).unwrap_or_else(|| {
        let state = cloud.state();
        match state.servers.iter().find(|server| server.id() == id) {
            Some(server) => (StatusCode::OK, json!({ "server": server.shown() })),
            None => (StatusCode::NOT_FOUND, not_found(&format!("Instance {id} could not be found."))),
        }
    });
    cloud.0.journal.look(NOVA, &format!("how {id} is"), answer)
}

/// Of the actions of a server it knows `evacuate`, by which Nova chooses the host.
async fn act(
    State(cloud): State<Cloud>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    let (name, answer) = match cloud.refused(&headers) {
        Some(answer) => (id, answer),
        None => cloud.evacuate(id, &body),
    };
    cloud.0.journal.answer(NOVA, &format!("evacuate {name}"), answer, body)
}

impl Cloud {
    fn evacuate(&self, id: String, body: &Value) -> (String, (StatusCode, Value)) {
        let now_ms = self.0.journal.now_ms();
        let mut state = self.state();
        let is_up = state.faults.is_up;
        let bad =
            |message: String| (StatusCode::BAD_REQUEST, json!({ "badRequest": { "code": 400, "message": message } }));
        let Some(server) = state.servers.iter_mut().find(|server| server.id() == id) else {
            let answer = (StatusCode::NOT_FOUND, not_found(&format!("Instance {id} could not be found.")));
            return (id, answer);
        };
        let answer = if !body["evacuate"].is_object() {
            bad("There is no such action".to_owned())
        } else if server.moves_since_ms.is_some() {
            let message = format!("Cannot 'evacuate' instance {id} while it is in task_state rebuilding");
            (StatusCode::CONFLICT, json!({ "conflictingRequest": { "code": 409, "message": message } }))
        } else if server.host != HOST || is_up {
            bad(format!("Compute service of {} is still in use.", server.host))
        } else {
            server.moves_since_ms = Some(now_ms);
            (StatusCode::OK, Value::Null)
        };
        (server.name.to_owned(), answer)
    }
}
