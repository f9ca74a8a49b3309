//! A request as `multipart/form-data`, as clients send it that bind parameters on the server.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart};
use axum::http::{HeaderMap, Request, header};

use super::answer::Failure;

/// Whether the body is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    content_type.is_some_and(|t| t.starts_with("multipart/form-data"))
}

/// Reads the fields: `query` is the body, the others join the URL's parameters.
pub(super) async fn read(request: Request<Body>, pairs: &mut Vec<(String, String)>) -> Result<Bytes, Failure> {
    let failed = |e: &dyn std::fmt::Display| Failure::bad_body(&format!("the form cannot be read: {e}"));
    let mut form = Multipart::from_request(request, &()).await.map_err(|e| failed(&e))?;
    let mut query = Bytes::new();
    while let Some(field) = form.next_field().await.map_err(|e| failed(&e))? {
        if field.file_name().is_some() {
            return Err(Failure::unsupported("external tables are not supported by the embedded engine"));
        }
        match field.name().unwrap_or_default().to_owned() {
            name if name == "query" => query = field.bytes().await.map_err(|e| failed(&e))?,
            name => pairs.push((name, field.text().await.map_err(|e| failed(&e))?)),
        }
    }
    Ok(query)
}
