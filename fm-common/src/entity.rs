//! Entity instance ids as paths, and which of them a filter means.
//!
//! An entity instance id is a path such as `host=compute-1.port=eth0`. A filter means the entity itself
//! and what lies under it; `host=compute-1` is not `host=compute-10`. All characters are literal.
//! This module is pure: text in, decision out.

use serde::{Deserialize, Serialize};

/// How list and clear-all filters match entity instance ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityMatch {
    /// By path component: equal, or the filter followed by `.` or `=`, or a filter that itself ends in
    /// `.` or `=`.
    #[default]
    Component,
    /// Any entity that begins with the filter's text, as the old library matched.
    Prefix,
}

impl EntityMatch {
    /// Whether `entity` is what `filter` names or lies under it. An empty filter matches the empty
    /// entity only, under both rules: it never means 'everything'.
    pub fn covers(self, filter: &str, entity: &str) -> bool {
        let Some(rest) = entity.strip_prefix(filter) else { return false };
        if rest.is_empty() {
            return true;
        }
        if filter.is_empty() {
            return false;
        }
        match self {
            Self::Prefix => true,
            Self::Component => is_border(filter.as_bytes().last()) || is_border(rest.as_bytes().first()),
        }
    }
}

fn is_border(byte: Option<&u8>) -> bool {
    matches!(byte, Some(b'.' | b'='))
}

/// The one form of an entity instance id: callers write the empty entity as nothing or as a single
/// space, and mean the same.
pub fn canonical(entity_instance_id: &str) -> &str {
    if entity_instance_id == " " { "" } else { entity_instance_id }
}

/// The component names of an entity instance id, in order: `host=c1.port=eth0` gives `host`, `port`.
/// A component without `=` is its own name.
pub fn component_names(entity_instance_id: &str) -> impl Iterator<Item = &str> {
    entity_instance_id
        .split('.')
        .map(|component| component.split_once('=').map_or(component, |(name, _)| name))
        .filter(|name| !name.is_empty())
}

/// Whether an entity type or an entity instance id names a virtual machine instance.
pub fn names_instance(entity: &str) -> bool {
    component_names(entity).any(|name| name == "instance")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_lies_under_a_filter() {
        let component = EntityMatch::Component;
        for (filter, entity, covered) in [
            ("host=compute-1", "host=compute-1", true),
            ("host=compute-1", "host=compute-1.port=eth0", true),
            ("host=compute-1", "host=compute-10", false),
            ("host=worker-0", "host=worker-01", false),
            ("host=controller-0", "host=controller-0.ntp", true),
            ("host=controller-0", "host=controller-0=10.0.0.1", true),
            ("subcloud=subcloud1", "subcloud=subcloud10", false),
            ("k8s_application=rook-ceph", "k8s_application=rook-ceph-two", false),
            ("subcloud=site_1", "subcloud=siteA1", false),
            ("host=", "host=compute-1", true),
            ("host=compute-1.", "host=compute-1.port=eth0", true),
            ("host", "host=compute-1", true),
            ("host", "hostname=compute-1", false),
            ("host=compute-1.port=eth0", "host=compute-1", false),
            ("", "", true),
            ("", "host=compute-1", false),
            ("host=%", "host=compute-1", false),
        ] {
            assert_eq!(component.covers(filter, entity), covered, "{filter:?} {entity:?}");
        }
        assert!(EntityMatch::Prefix.covers("host=compute-1", "host=compute-10"));
        assert!(!EntityMatch::Prefix.covers("", "host=compute-10"));
    }

    #[test]
    fn one_empty_entity() {
        assert_eq!(canonical(" "), "");
        assert_eq!(canonical(""), "");
        assert_eq!(canonical("  "), "  ");
    }

    #[test]
    fn instances_are_named_by_a_whole_component() {
        assert!(names_instance("instance"));
        assert!(names_instance("tenant.instance"));
        assert!(names_instance("tenant=t1.instance=8f3c"));
        assert!(names_instance("instance=8f3c"));
        assert!(!names_instance("host.instances"));
        assert!(!names_instance("host=instance"));
    }

    proptest! {
        #[test]
        fn an_entity_covers_itself_and_its_children(entity in "[a-z=.%_' -]{0,20}", child in "[a-z0-9]{1,8}") {
            for rule in [EntityMatch::Component, EntityMatch::Prefix] {
                prop_assert!(rule.covers(&entity, &entity));
                if !entity.is_empty() {
                    let below = format!("{entity}.{child}");
                    let valued = format!("{entity}={child}");
                    prop_assert!(rule.covers(&entity, &below));
                    prop_assert!(rule.covers(&entity, &valued));
                    prop_assert!(!rule.covers(&below, &entity));
                }
            }
        }

        #[test]
        fn a_longer_name_is_another_entity(entity in "[a-z]{1,8}=[a-z0-9-]{1,8}", more in "[a-z0-9_-]{1,8}") {
            let longer = format!("{entity}{more}");
            prop_assert!(!EntityMatch::Component.covers(&entity, &longer));
        }
    }
}
