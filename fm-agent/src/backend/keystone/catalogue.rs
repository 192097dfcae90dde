//! What a token answer of Keystone v3 says: how long the token lives, whom it is for, where services are.
//!
//! Pure: text in, decision out.

use std::time::Duration;

use fm_common::Timestamp;
use serde::Deserialize;

use crate::config::{Account, HttpUrl};

/// The region of several when none is asked for.
const DEFAULT_REGION: &str = "RegionOne";

#[derive(Deserialize)]
struct Document {
    token: Body,
}

/// The body of a token answer.
#[derive(Deserialize)]
pub(super) struct Body {
    expires_at: String,
    issued_at: Option<String>,
    user: Option<Name>,
    project: Option<Name>,
    #[serde(default)]
    roles: Vec<Name>,
    #[serde(default)]
    catalog: Vec<Service>,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
struct Service {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    interface: String,
    region: Option<String>,
    region_id: Option<String>,
    url: String,
}

impl Endpoint {
    fn region(&self) -> &str {
        self.region.as_deref().or(self.region_id.as_deref()).unwrap_or_default()
    }
}

/// Reads a token answer, or says what is wrong with it.
pub(super) fn parse(body: &[u8]) -> Result<Body, String> {
    let document: Document = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    Ok(document.token)
}

impl Body {
    /// How long the token lives, from now on. Of a new one Keystone's own two times are compared where it
    /// gives both, so that its clock need not agree with this node's; `used` is one that was issued earlier.
    pub(super) fn lifetime(&self, used: bool) -> Result<Duration, String> {
        let time = |text: &str| Timestamp::parse(text).map_err(|error| error.to_string());
        let from = self.issued_at.as_deref().filter(|_| !used).map_or_else(|| Ok(Timestamp::now()), time)?;
        let micros = time(&self.expires_at)?.as_micros().saturating_sub(from.as_micros());
        Ok(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
    }

    /// Whom the token is for, in words.
    pub(super) fn holder(&self) -> String {
        let name = |named: &Option<Name>| named.as_ref().map(|named| format!("'{}'", named.name));
        let user = name(&self.user).unwrap_or_else(|| "of an unknown name".to_owned());
        let project = name(&self.project)
            .map_or_else(|| "without a project".to_owned(), |project| format!("in the project {project}"));
        let roles: Vec<&str> = self.roles.iter().map(|role| role.name.as_str()).collect();
        let roles =
            if roles.is_empty() { "no role".to_owned() } else { format!("the roles {}", roles.join(", ")) };
        format!("user {user} {project} with {roles}")
    }

    /// The URL of the service that the account asks for, or what was looked for and what there is.
    pub(super) fn endpoint(&self, wanted: &Account) -> Result<HttpUrl, String> {
        let interface = wanted.interface.name();
        let offered: Vec<&Endpoint> = self
            .catalog
            .iter()
            .filter(|service| service.kind == wanted.service_type)
            .flat_map(|service| &service.endpoints)
            .filter(|endpoint| endpoint.interface == interface)
            .collect();
        let in_region = |region: &str| offered.iter().find(|endpoint| endpoint.region() == region);
        let found = match (&wanted.region, offered.as_slice()) {
            (Some(region), _) => in_region(region),
            (None, [first, rest @ ..]) if rest.iter().all(|other| other.region() == first.region()) => {
                Some(first)
            }
            (None, _) => in_region(DEFAULT_REGION),
        };
        match found {
            Some(endpoint) => HttpUrl::parse(&endpoint.url)
                .map_err(|error| format!("the endpoint in the Keystone catalogue cannot be used: {error}")),
            None => Err(format!(
                "the Keystone catalogue has no {interface} endpoint of service type '{}' in region '{}'; {}. \
                 Correct service_type, interface or region, or set endpoint",
                wanted.service_type,
                wanted.region.as_deref().unwrap_or(DEFAULT_REGION),
                self.what_there_is(&wanted.service_type)
            )),
        }
    }

    fn what_there_is(&self, service_type: &str) -> String {
        if self.catalog.is_empty() {
            return "the token came without a catalogue: the account may have no role in the project"
                .to_owned();
        }
        let same_type: Vec<String> = self
            .catalog
            .iter()
            .filter(|service| service.kind == service_type)
            .flat_map(|service| &service.endpoints)
            .map(|endpoint| format!("{} in '{}'", endpoint.interface, endpoint.region()))
            .collect();
        if !same_type.is_empty() {
            return format!("of that type it has {}", same_type.join(", "));
        }
        let types: Vec<&str> = self.catalog.iter().map(|service| service.kind.as_str()).collect();
        format!("it has the service types {}", types.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::KeystoneConfig;

    fn body() -> Body {
        parse(
            br#"{"token": {"issued_at": "2026-11-22T10:00:00.000000Z", "expires_at": "2026-11-22T11:00:00.000000Z",
            "catalog": [{"type": "identity", "endpoints": []}, {"type": "faultmanagement", "name": "fm",
            "endpoints": [
            {"interface": "internal", "region": "RegionOne", "region_id": "RegionOne", "url": "http://[::1]:18002/"},
            {"interface": "public", "region_id": "RegionTwo", "url": "https://fm.example"},
            {"interface": "admin", "region": "RegionOne", "url": "not a url"}]}]}}"#,
        )
        .unwrap()
    }

    fn wanted(keys: &str) -> Account {
        let account = "auth_url = 'http://k/v3'\nusername = 'u'\npassword = 'p'\n";
        toml::from_str::<KeystoneConfig>(&format!("{account}{keys}")).unwrap().account().unwrap()
    }

    #[test]
    fn the_endpoint_is_found_by_type_interface_and_region() {
        assert_eq!(body().endpoint(&wanted("")).unwrap().as_str(), "http://[::1]:18002");
        let second = wanted("interface = 'public'\nregion = 'RegionTwo'");
        assert_eq!(body().endpoint(&second).unwrap().as_str(), "https://fm.example");
    }

    #[test]
    fn without_a_region_the_only_one_counts_or_the_default_of_several() {
        assert_eq!(body().endpoint(&wanted("interface = 'public'")).unwrap().as_str(), "https://fm.example");
        let regions = |regions: &[&str]| {
            let endpoints: Vec<_> = regions
                .iter()
                .map(|region| json!({"interface": "internal", "region": region, "url": format!("http://{region}")}))
                .collect();
            let token = json!({"token": {"expires_at": "2026-11-22T11:00:00Z",
                "catalog": [{"type": "faultmanagement", "endpoints": endpoints}]}});
            parse(token.to_string().as_bytes()).unwrap().endpoint(&wanted(""))
        };
        assert_eq!(regions(&["a", "RegionOne"]).unwrap().as_str(), "http://RegionOne");
        let error = regions(&["a", "b"]).unwrap_err();
        assert!(
            error.contains("in region 'RegionOne'; of that type it has internal in 'a', internal in 'b'"),
            "{error}"
        );
    }

    #[test]
    fn the_holder_is_told_with_project_and_roles() {
        assert_eq!(body().holder(), "user of an unknown name without a project with no role");
        let token = br#"{"token": {"expires_at": "2026-11-22T11:00:00Z", "user": {"name": "fm", "id": "1"},
            "project": {"name": "service"}, "roles": [{"name": "admin"}, {"name": "reader"}]}}"#;
        let told = "user 'fm' in the project 'service' with the roles admin, reader";
        assert_eq!(parse(token).unwrap().holder(), told);
    }

    #[test]
    fn a_missing_endpoint_says_what_was_sought_and_what_there_is() {
        let error = body().endpoint(&wanted("region = 'Elsewhere'")).unwrap_err();
        assert!(
            error.contains("internal endpoint of service type 'faultmanagement' in region 'Elsewhere'"),
            "{error}"
        );
        assert!(error.contains("public in 'RegionTwo'"), "{error}");
        let error = body().endpoint(&wanted("service_type = 'fault'")).unwrap_err();
        assert!(error.contains("identity, faultmanagement"), "{error}");
        let error = body().endpoint(&wanted("interface = 'admin'")).unwrap_err();
        assert!(error.contains("'not a url'"), "{error}");
        let bare = parse(br#"{"token": {"expires_at": "2026-11-22T11:00:00Z"}}"#).unwrap();
        assert!(bare.endpoint(&wanted("")).unwrap_err().contains("without a catalogue"));
    }

    #[test]
    fn the_lifetime_is_by_keystones_own_clock() {
        assert_eq!(body().lifetime(false), Ok(Duration::from_hours(1)));
        let over = parse(br#"{"token": {"expires_at": "2001-01-01T00:00:00Z"}}"#).unwrap();
        assert_eq!(over.lifetime(false), Ok(Duration::ZERO));
        let used =
            br#"{"token": {"issued_at": "2001-01-01T00:00:00Z", "expires_at": "2001-01-02T00:00:00Z"}}"#;
        assert_eq!(parse(used).unwrap().lifetime(true), Ok(Duration::ZERO));
        let garbage = parse(br#"{"token": {"expires_at": "soon"}}"#).unwrap();
        assert!(garbage.lifetime(false).unwrap_err().contains("'soon'"));
    }
}
