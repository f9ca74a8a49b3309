//! The crate `cel`: the event becomes one variable, every program runs in turn.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use cel::{Context, Env, Program, Value};

use super::Matcher;

pub(super) fn build(texts: &[(u32, String)]) -> Result<Matcher> {
    let env = Arc::new(Env::stdlib());
    let program = |(id, text): &(u32, String)| -> Result<(u32, Program)> {
        Ok((*id, env.compile(text).map_err(|error| anyhow!("{text}: {error}"))?))
    };
    let programs = texts.iter().map(program).collect::<Result<Vec<_>>>()?;
    Ok(Box::new(move |event, found| {
        let event: serde_json::Value = serde_json::from_slice(event)?;
        let mut context = Context::with_env(Arc::clone(&env));
        context.add_variable_from_value("trigger", cel::to_value(&event).map_err(|error| anyhow!("{error}"))?);
        for (id, program) in &programs {
            if matches!(program.execute(&context), Ok(Value::Bool(true))) {
                found.push(*id);
            }
        }
        Ok(())
    }))
}
