//! The login by a person: an address to open, and a loopback port where the browser brings the code (RFC 8252).

use std::io::Write as _;
use std::net::Ipv4Addr;

use anyhow::{Context as _, bail};
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url::Url;

use crate::login_page;
use crate::web;

/// Prints the address to standard error, waits for the browser, and returns the redirect address with its answer.
pub(super) async fn log_in(
    authorization: &Url,
    request: impl Fn(&str) -> Vec<(&'static str, String)>,
) -> anyhow::Result<(String, Url)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let redirect_uri = format!("{origin}/callback");
    let mut page = authorization.clone();
    page.query_pairs_mut().extend_pairs(request(&redirect_uri));
    writeln!(
        std::io::stderr(),
        "Open this address in a browser and log in:\n\n  {page}\n"
    )?;

    let (sender, mut answers) = mpsc::channel(1);
    let server = web::serve(listener, move |request| {
        let sender = sender.clone();
        async move {
            // Browsers ask for more than the redirect, such as an icon.
            if request.uri().path() != "/callback" {
                return login_page::notice(StatusCode::NOT_FOUND, "There is nothing here.");
            }
            let _ = sender.send(request.uri().to_string()).await;
            login_page::notice(
                StatusCode::OK,
                "You are logged in. You may close this page.",
            )
        }
    });
    tokio::select! {
        () = server => bail!("the loopback listener ended"),
        answer = answers.recv() => {
            let answer = answer.context("the loopback listener ended")?;
            // The connection is a task of its own: it writes the page while the code is redeemed.
            Ok((redirect_uri, Url::parse(&format!("{origin}{answer}"))?))
        }
    }
}
