//! Who may do what on the service: the token, then the role and the project.

use hyper::{Method, StatusCode};

use crate::app::App;
use crate::keystone::{Identity, TokenCheck};
use crate::reply::Refusal;
use crate::request::Request;

/// The identity behind the request's token; `None` when no token is needed.
pub(crate) fn authenticate(app: &App, request: &Request) -> Result<Option<Identity>, Refusal> {
    if !app.config.token_required {
        return Ok(None);
    }
    if request.headers.contains_key("oidc-token") {
        // The real service lacks a library for these and crashes on the header alone.
        return Err(Refusal::Empty500);
    }
    let refused = || Refusal::Unauthenticated(app.keystone_url());
    let token = request.header("x-auth-token").ok_or_else(refused)?;
    match app.keystone.check(token) {
        TokenCheck::Valid(identity) => Ok(Some(identity)),
        TokenCheck::Invalid => Err(refused()),
        TokenCheck::KeystoneDown => Err(Refusal::KeystoneDown),
    }
}

/// Whether the identity may use `method`: writing takes a role and a project, reading a role.
pub(crate) fn authorize(identity: Option<&Identity>, method: &Method) -> Result<(), Refusal> {
    let Some(identity) = identity else { return Ok(()) };
    let has = |wanted: &[&str]| {
        identity.roles.iter().any(|role| wanted.iter().any(|wanted| role.eq_ignore_ascii_case(wanted)))
    };
    let allowed = if method == Method::GET {
        has(&["reader", "operator", "configurator"])
    } else {
        has(&["admin", "configurator"]) && matches!(identity.project.as_deref(), Some("admin" | "services"))
    };
    if allowed { Ok(()) } else { Err(forbidden()) }
}

/// The answer to a role or project that does not suffice.
pub(crate) fn forbidden() -> Refusal {
    Refusal::Titled(StatusCode::FORBIDDEN, "Access was denied to the requested resource.")
}
