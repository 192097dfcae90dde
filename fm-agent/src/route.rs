//! Which domain owns an alarm, and why.
//!
//! The first that applies decides: the operator's rules; an entity type that names a virtual machine
//! instance; the catalogue's context for the alarm id; the platform. A domain that is not configured
//! falls back to the platform. This module is pure: the same alarm always gets the same answer.
//!
//! A clear follows the domain recorded when the alarm was set; it comes here only when this node knows
//! no such alarm.

use std::collections::BTreeSet;
use std::fmt;

use fm_common::catalogue::{self, Context};
use fm_common::{Alarm, AlarmKey, entity};

use crate::config::{Domain, RouteRule};

/// The routing of one configuration.
#[derive(Debug, Clone)]
pub struct Router {
    rules: Vec<RouteRule>,
    configured: BTreeSet<Domain>,
}

/// The owner of an alarm and what decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The domain that gets the alarm.
    pub domain: Domain,
    /// What decided.
    pub reason: Reason,
    /// The domain that would own it, were it configured.
    pub instead_of: Option<Domain>,
}

/// What decides about an alarm's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The operator's rule at this place of the configuration, from 0.
    Rule(usize),
    /// The entity type names an instance.
    Instance,
    /// The catalogue gives the alarm id this domain.
    Catalogue,
    /// Nothing else applies.
    Default,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::Rule(index) => write!(f, "{}: route[{index}] of the configuration", self.domain)?,
            Reason::Instance => write!(f, "{}: the entity type names an instance", self.domain)?,
            Reason::Catalogue => write!(f, "{}: the alarm catalogue", self.domain)?,
            Reason::Default => write!(f, "{}: nothing says otherwise", self.domain)?,
        }
        match self.instead_of {
            Some(domain) => write!(f, " ({domain} is not configured)"),
            None => Ok(()),
        }
    }
}

impl Router {
    /// A router with these rules for these configured domains.
    pub fn new(rules: Vec<RouteRule>, configured: BTreeSet<Domain>) -> Self {
        Self { rules, configured }
    }

    /// The owner of an alarm that is being set.
    pub fn owner(&self, alarm: &Alarm) -> Decision {
        self.decide(&alarm.alarm_id, &alarm.entity_type_id, &alarm.entity_instance_id)
    }

    /// The owner of an alarm of which only the key is known; its entity type is read off the entity id.
    pub fn owner_of_key(&self, key: &AlarmKey) -> Decision {
        let entity_type: Vec<&str> = entity::component_names(&key.entity_instance_id).collect();
        self.decide(&key.alarm_id, &entity_type.join("."), &key.entity_instance_id)
    }

    /// The owner of what has this id, entity type and entity.
    pub fn decide(&self, alarm_id: &str, entity_type: &str, entity_instance: &str) -> Decision {
        let (wanted, reason) = self.wanted(alarm_id, entity_type, entity_instance);
        if self.configured.contains(&wanted) {
            return Decision { domain: wanted, reason, instead_of: None };
        }
        Decision { domain: Domain::Platform, reason, instead_of: Some(wanted) }
    }

    fn wanted(&self, alarm_id: &str, entity_type: &str, entity_instance: &str) -> (Domain, Reason) {
        let holds = |pattern: &Option<String>, text| pattern.as_ref().is_none_or(|it| matches(it, text));
        let rule = self.rules.iter().position(|rule| {
            holds(&rule.alarm_id, alarm_id)
                && holds(&rule.entity_type_id, entity_type)
                && holds(&rule.entity_instance_id, entity_instance)
        });
        if let Some(index) = rule {
            return (self.rules[index].domain, Reason::Rule(index));
        }
        if entity::names_instance(entity_type) {
            return (Domain::Openstack, Reason::Instance);
        }
        match catalogue::find(alarm_id).map(|entry| entry.context) {
            Some(Context::OpenStack) => (Domain::Openstack, Reason::Catalogue),
            Some(Context::StarlingX | Context::None) => (Domain::Platform, Reason::Catalogue),
            None => (Domain::Platform, Reason::Default),
        }
    }
}

/// Whether a rule's text means this one: literally, or by its beginning when it ends in `*`.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => text.starts_with(beginning),
        None => pattern == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fm_common::{AlarmType, ProbableCause, Severity};

    fn alarm(alarm_id: &str, entity_type: &str, entity: &str) -> Alarm {
        let (alarm_type, cause) = (AlarmType::Unknown, ProbableCause::Unknown);
        Alarm::new(alarm_id, entity_type, entity, Severity::Major, alarm_type, cause)
    }

    fn rule(
        alarm_id: Option<&str>,
        entity_type: Option<&str>,
        entity: Option<&str>,
        domain: Domain,
    ) -> RouteRule {
        RouteRule {
            alarm_id: alarm_id.map(str::to_owned),
            entity_type_id: entity_type.map(str::to_owned),
            entity_instance_id: entity.map(str::to_owned),
            domain,
        }
    }

    fn router(rules: Vec<RouteRule>) -> Router {
        Router::new(rules, Domain::ALL.into())
    }

    #[test]
    fn every_id_of_the_catalogue_goes_by_its_context() {
        for entry in catalogue::entries() {
            let decision = router(Vec::new()).owner(&alarm(entry.id, "host", "host=c0"));
            let expected = match entry.context {
                Context::OpenStack => Domain::Openstack,
                Context::StarlingX | Context::None => Domain::Platform,
            };
            assert_eq!((decision.domain, decision.reason), (expected, Reason::Catalogue), "{}", entry.id);
        }
    }

    #[test]
    fn the_first_that_applies_decides() {
        let rules = vec![
            rule(Some("100.*"), None, Some("host=compute-1*"), Domain::Openstack),
            rule(Some("700.001"), None, None, Domain::Platform),
        ];
        let router = router(rules);
        let owner = |id, ty, entity| {
            let decision = router.owner(&alarm(id, ty, entity));
            (decision.domain, decision.reason)
        };
        assert_eq!(owner("100.101", "host", "host=compute-1"), (Domain::Openstack, Reason::Rule(0)));
        assert_eq!(owner("100.101", "host", "host=compute-2"), (Domain::Platform, Reason::Catalogue));
        assert_eq!(owner("700.001", "instance", "instance=1"), (Domain::Platform, Reason::Rule(1)));
        assert_eq!(
            owner("100.101", "tenant.instance", "t=1.instance=2"),
            (Domain::Openstack, Reason::Instance)
        );
        assert_eq!(owner("999.999", "host", "host=c0"), (Domain::Platform, Reason::Default));
    }

    #[test]
    fn a_key_alone_goes_where_its_alarm_went() {
        let router = router(vec![rule(None, Some("host.port"), None, Domain::Openstack)]);
        for (entity_type, entity) in
            [("host.port", "host=c0.port=eth0"), ("instance", "instance=7"), ("host", "host=c0")]
        {
            let set = router.owner(&alarm("100.101", entity_type, entity));
            assert_eq!(router.owner_of_key(&AlarmKey::new("100.101", entity)), set, "{entity}");
        }
    }

    #[test]
    fn a_domain_that_is_not_configured_falls_back() {
        let router = Router::new(Vec::new(), [Domain::Platform].into());
        let decision = router.owner(&alarm("700.001", "instance", "instance=1"));
        assert_eq!((decision.domain, decision.instead_of), (Domain::Platform, Some(Domain::Openstack)));
        let said = decision.to_string();
        assert!(said.contains("instance") && said.contains("openstack is not configured"), "{said}");
    }
}
