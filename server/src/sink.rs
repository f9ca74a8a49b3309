//! stub
use crate::engine::Engine;
use crate::metrics::Exported;
use crate::roles::Parts;
pub struct Sink;
impl Sink {
    pub fn start(_: &Parts<'_>, _: Option<&Engine>, _: &mut Exported) -> anyhow::Result<Self> {
        todo!()
    }
    pub async fn shutdown(self) {}
}
