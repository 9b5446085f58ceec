//! Resumable uploads to data servers inside the deployment: the token is the right, no login and no route is looked at.

use http::header::LOCATION;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

use super::{Arrival, Pipeline};
use crate::body::Body;
use crate::error::GatewayError;
use crate::headers::CleanHead;
use crate::identity::DataGateway;
use crate::process::Snapshot;
use crate::routes::{NormalPath, PublicRoute, RouteError, UpstreamTarget};
use crate::upstream::{Call, Ends, Trip};

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const X_REVA_TRANSFER: HeaderName = HeaderName::from_static("x-reva-transfer");

/// Whether the client speaks the protocol (tus 1.0.0).
fn is_tus(head: &CleanHead) -> bool {
    head.headers()
        .get(TUS_RESUMABLE)
        .is_some_and(|version| version == "1.0.0")
}

/// The gateway to data servers, if the request is for one.
pub(super) fn of<'s>(
    snapshot: &'s Snapshot,
    path: &NormalPath<'_>,
    head: &CleanHead,
) -> Option<&'s DataGateway> {
    let gateway = snapshot.data_gateway.as_ref()?;
    path.without_prefix("/data").filter(|_| is_tus(head))?;
    Some(gateway)
}

/// The gateway to data servers, if the answer may tell where an upload goes.
pub(super) fn begun_by<'s>(snapshot: &'s Snapshot, head: &CleanHead) -> Option<&'s DataGateway> {
    let gateway = snapshot.data_gateway.as_ref()?;
    (*head.method() == Method::POST && is_tus(head)).then_some(gateway)
}

impl Pipeline {
    /// Sends the request where its token leads.
    pub(super) async fn transfer(
        &self,
        arrival: &Arrival<'_>,
        gateway: &DataGateway,
        path: &NormalPath<'_>,
        (mut head, body): (CleanHead, Body),
        trip: &Trip,
    ) -> Result<Response<Body>, GatewayError> {
        let named = head.take(&X_REVA_TRANSFER);
        let token = match &named {
            Some(token) => token.to_str().unwrap_or_default(),
            None => path.forwarded().rsplit('/').next().unwrap_or_default(),
        };
        let transfer = gateway.target(token, self.process.clock.now());
        let transfer = transfer.ok_or(RouteError::BadTransfer)?;
        let call = Call {
            head,
            body,
            target: UpstreamTarget {
                path: transfer.target.path().into(),
                query: transfer.target.query().map(Into::into),
                removed_prefix: None,
            },
            ingress: &arrival.ingress,
            second_factor: false,
            keeps_location: false,
            ends: Ends::default(),
            trip,
            on_tunnel_end: None,
        };
        let route = PublicRoute::of_transfer(transfer.route);
        Ok(self.forwarder.send_public(route, None, call).await?)
    }

    /// An upload begins: its location is told as the client can reach it.
    pub(super) fn tell_location(
        &self,
        arrival: &Arrival<'_>,
        gateway: &DataGateway,
        response: &mut Response<Body>,
    ) {
        if response.status() != StatusCode::CREATED {
            return;
        }
        let ingress = &arrival.ingress;
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let origin = format!(
            "{}://{}{}",
            text(&ingress.scheme),
            text(&ingress.host),
            arrival.snapshot.root.as_str()
        );
        let told = response.headers().get(LOCATION).map(text);
        let now = self.process.clock.now();
        if let Some(location) = told.and_then(|told| gateway.location(&told, &origin, now))
            && let Ok(location) = HeaderValue::from_str(&location)
        {
            response.headers_mut().insert(LOCATION, location);
        }
    }
}
