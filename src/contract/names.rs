//! Which port a key under `inputs` means: by id, then by exact label, then by handle, then by label with case, spaces, `_` and
//! `-` ignored.
//!
//! The first rule that fits wins, so that an id always means itself whatever the labels are. A name that fits two ports within
//! a rule is refused: guessing would send a value to the wrong place.

use super::{Contract, Port};
use crate::diagnostic::nearest;

/// Why a name means no port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// No port has such a name.
    Unknown {
        /// The name that is nearest to it, by any of the rules.
        nearest: Option<String>,
    },
    /// Several ports have it; their places in [`Contract::ports`].
    Ambiguous {
        /// What the ports share: `label` or `targetHandle`.
        by: &'static str,
        /// The ports.
        ports: Vec<usize>,
    },
}

/// What ports share that a key means by this rule, and whether a port fits.
type Rule<'a> = (&'static str, &'a dyn Fn(&Port) -> bool);

impl Port {
    /// Returns the name for people: the label, else the id.
    #[must_use]
    pub fn name(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.id)
    }
}

impl Contract {
    /// Returns the port with this id.
    #[must_use]
    pub fn port(&self, id: &str) -> Option<&Port> {
        self.ports.iter().find(|port| port.id == id)
    }

    /// Returns the place in [`Contract::ports`] of the port that a key means.
    ///
    /// # Errors
    ///
    /// When no port has the name, or several do within one rule.
    pub fn resolve(&self, key: &str) -> Result<usize, Unresolved> {
        let folded = fold(key);
        let rules: [Rule<'_>; 4] = [
            ("id", &|port| port.id == key),
            ("label", &|port| port.label.as_deref() == Some(key)),
            ("targetHandle", &|port| port.handle.as_deref() == Some(key)),
            ("label", &|port| port.label.as_deref().is_some_and(|label| fold(label) == folded)),
        ];
        for (by, fits) in rules {
            let mut found = self.ports.iter().enumerate().filter(|(_, port)| fits(port)).map(|(index, _)| index);
            match (found.next(), found.next()) {
                (None, _) => {}
                (Some(port), None) => return Ok(port),
                (Some(first), Some(second)) => {
                    let ports = [first, second].into_iter().chain(found).collect();
                    return Err(Unresolved::Ambiguous { by, ports });
                }
            }
        }
        // Names for people first: of two equally near ones, the nicer is offered.
        let keys = self.ports.iter().map(|port| self.name_of(port));
        let labels = self.ports.iter().filter_map(|port| port.label.as_deref());
        let ids = self.ports.iter().map(|port| port.id.as_str());
        let handles = self.ports.iter().filter_map(|port| port.handle.as_deref());
        Err(Unresolved::Unknown {
            nearest: nearest(key, keys.chain(labels).chain(ids).chain(handles)).map(str::to_owned),
        })
    }
}

/// Returns the name without case, spaces, `_` and `-`.
pub(super) fn fold(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::ValueKind,
        job::{Target, TargetKind},
    };

    fn port(id: &str, label: &str, handle: &str) -> Port {
        Port {
            label: (!label.is_empty()).then(|| label.to_owned()),
            handle: (!handle.is_empty()).then(|| handle.to_owned()),
            ..Port::new(id, ValueKind::Text)
        }
    }

    fn contract(ports: Vec<Port>) -> Contract {
        Contract {
            schema: None,
            modes: Vec::new(),
            unchecked: false,
            target: Target { kind: TargetKind::App, id: "a".to_owned() },
            name: "A".to_owned(),
            description: None,
            cost: None,
            output: None,
            open: false,
            ports,
        }
    }

    #[test]
    fn the_first_rule_that_fits_wins() {
        let contract = contract(vec![
            port("n1", "Prompt", "text"),
            port("Prompt", "Input Image", "image"),
            port("n3", "Aspect Ratio", "aspect_ratio"),
        ]);
        for (key, expected) in [
            ("n1", 0),
            ("Prompt", 1),
            ("text", 0),
            ("aspect_ratio", 2),
            ("ASPECT-RATIO", 2),
            ("inputimage", 1),
            ("prompt", 0),
        ] {
            assert_eq!(contract.resolve(key), Ok(expected), "{key}");
        }
    }

    #[test]
    fn two_ports_of_one_name_are_refused_unless_an_earlier_rule_decides() {
        let contract =
            contract(vec![port("a", "Prompt", "prompt"), port("b", "Prompt", "prompt"), port("c", "pro mpt", "")]);
        assert_eq!(contract.resolve("a"), Ok(0));
        assert_eq!(contract.resolve("Prompt"), Err(Unresolved::Ambiguous { by: "label", ports: vec![0, 1] }));
        assert_eq!(contract.resolve("prompt"), Err(Unresolved::Ambiguous { by: "targetHandle", ports: vec![0, 1] }));
        assert_eq!(contract.resolve("PROMPT"), Err(Unresolved::Ambiguous { by: "label", ports: vec![0, 1, 2] }));
    }

    #[test]
    fn a_name_that_fits_nothing_gets_the_nearest() {
        let contract = contract(vec![port("n1", "Aspect Ratio", "aspect_ratio")]);
        let near = |key: &str| match contract.resolve(key) {
            Err(Unresolved::Unknown { nearest }) => nearest,
            other => panic!("{key}: {other:?}"),
        };
        assert_eq!(near("Aspect ration").as_deref(), Some("Aspect Ratio"));
        assert_eq!(near("colour"), None);
    }
}
