//! `davgate-demo`: what `make demo` puts around the gateway. `serve` is a small OpenID provider and a WebDAV file
//! store; `token` is a command line client that logs in there, for curl and for rclone's bearer token command.
//!
//! None of it is meant for anything but a loopback interface.

mod client;
mod grants;
mod issuer;
mod login_page;
mod store;
mod tokens;
mod users;
mod web;

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(
    version,
    about = "The issuer, the file store and the token client of davgate's demo"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the issuer and the file store on 127.0.0.1 until it is told to stop.
    Serve {
        /// Port of the issuer; 0 takes a free one.
        #[arg(long, default_value_t = 9310)]
        issuer_port: u16,
        /// Port of the file store; 0 takes a free one.
        #[arg(long, default_value_t = 9311)]
        store_port: u16,
        /// Folder of the users' folders; made if it is missing.
        #[arg(long)]
        data: PathBuf,
        /// The path below which the store serves each user's folder.
        #[arg(long, default_value = "/files")]
        prefix: String,
        /// Seconds an access token lives.
        #[arg(long, default_value_t = 300)]
        token_lifetime: u64,
    },
    /// Prints an access token: a cached one, a refreshed one, or after a login.
    Token(client::TokenArguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Serve {
            issuer_port,
            store_port,
            data,
            prefix,
            token_lifetime,
        } => {
            serve(
                issuer_port,
                store_port,
                data,
                prefix,
                Duration::from_secs(token_lifetime),
            )
            .await
        }
        Command::Token(arguments) => {
            let token = client::token(&arguments).await?;
            writeln!(std::io::stdout(), "{token}")?;
            Ok(())
        }
    }
}

async fn serve(
    issuer_port: u16,
    store_port: u16,
    data: PathBuf,
    prefix: String,
    token_lifetime: Duration,
) -> anyhow::Result<()> {
    let issuer_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, issuer_port)).await?;
    let store_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, store_port)).await?;
    let address = format!("http://{}", issuer_listener.local_addr()?);
    let issuer = Arc::new(issuer::Issuer::new(address.clone(), token_lifetime)?);
    let store = Arc::new(store::Store::new(data, prefix)?);

    // One line that a script can wait for and read.
    let ready = serde_json::json!({
        "issuer": address,
        "store": format!("http://{}", store_listener.local_addr()?),
    });
    writeln!(std::io::stdout(), "{ready}")?;

    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        () = web::serve(issuer_listener, move |request| {
            let issuer = issuer.clone();
            async move { issuer.handle(request).await }
        }) => {}
        () = web::serve(store_listener, move |request| {
            let store = store.clone();
            async move { store.handle(request).await }
        }) => {}
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    Ok(())
}
