//! Secrets in packs: their names stand there, never their values.

use petrel_schemas::SecretRef;

use crate::pack::{ActionDraft, Config, ParameterDef};
use crate::problems::{Code, Place, Problems};
use crate::walk::Located;
use crate::yaml::Node;

/// What stands in a secret's stead.
pub(crate) const NAME_IT: &str =
    "write its name, ${secret.<pack>.<name>}, and set its value with `petrel secret set`, so that it stands in no file";

/// Checks that the secrets which an action names are its pack's, or everybody's.
pub(crate) fn check_action(pack: &str, draft: &ActionDraft, problems: &mut Problems) {
    draft.secrets.iter().for_each(|secret| check_space(pack, &secret.value, &secret.place, problems));
}

/// Checks the same of the secrets in a pack's configuration.
pub(crate) fn check_config(pack: &str, config: &Config, problems: &mut Problems) {
    config.secrets().for_each(|secret| check_space(pack, &secret.value, &secret.place, problems));
}

/// Checks what a rule gives for a parameter where secrets are concerned; whether they are.
pub(crate) fn check_value(
    pack: &str,
    config: &Config,
    name: &Located<String>,
    node: &Node,
    parameter: &ParameterDef,
    problems: &mut Problems,
) -> bool {
    let place = Place { at: node.at, ..name.place.clone() };
    let secret = node.to_json().as_str().and_then(|text| config.secret_of_text(text));
    match secret {
        Some(secret) if parameter.secret => check_space(pack, &secret, &place, problems),
        Some(_) => {
            let message = format!(
                "parameter {:?} is not marked `secret: true` by its action, so its value would be shown: no secret goes \
                 there",
                name.value
            );
            problems.add(&place, Code::BadParameter, message);
        }
        None if parameter.secret => {
            problems.add(&place, Code::BadParameter, format!("parameter {:?} holds a secret: {NAME_IT}", name.value));
        }
        None => return false,
    }
    true
}

pub(crate) fn check_space(pack: &str, secret: &SecretRef, place: &Place, problems: &mut Problems) {
    if !secret.may_be_named_in(pack) {
        let message = format!(
            "pack {pack} cannot name the secret {secret}: a pack has its own, secret.{pack}.…, and those of everybody, \
             secret.shared.…"
        );
        problems.add(place, Code::UnknownReference, message);
    }
}

#[cfg(test)]
mod tests;
