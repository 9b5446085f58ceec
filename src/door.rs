//! The one door for tests and benches: what they build and call themselves. The crate is closed beside it, so that the
//! compiler finds what nobody uses; what a test can see over the public listener it sees there.

pub mod accounts {
    //! Account backends, and the rules over them.
    pub mod cs3 {
        //! Accounts of the CS3 gateway.
        pub use crate::accounts::cs3::Cs3Directory;
    }
    pub mod graph {
        //! Accounts made by libregraph.
        pub use crate::accounts::graph::GraphProvisioner;
    }
    pub mod ldap {
        //! Accounts in a directory.
        pub use crate::accounts::ldap::LdapDirectory;
    }
    pub use crate::accounts::{
        AccountChange, AccountError, AccountKey, Capabilities, Created, DirectoryError,
        GroupReport, GroupSync, LoginFacts, NewAccount, Provisioner, Resolver, UserDirectory,
        WantedGroup,
    };
    pub mod embedded {
        //! Accounts in one file.
        pub use crate::accounts::embedded::EmbeddedDirectory;
        pub mod admin {
            //! What `davgate account` does.
            pub use crate::accounts::embedded::admin::{list, set_enabled, set_role};
        }
    }
}

pub mod auth {
    //! Tokens of issuers.
    pub use crate::auth::{AuthError, Authenticator, IssuerLogin, PublicKeys};
}

pub mod config {
    //! The configuration.
    pub use crate::config::{Config, Flavor, LoadOptions, Mfa, Secret};
    pub mod accounts {
        //! Settings of account backends.
        pub use crate::config::accounts::{AccountBackend, DisableMechanism, Ldap, LdapScope};
    }
    pub mod deployment {
        //! Settings of the services beside us.
        pub use crate::config::deployment::GrpcTls;
    }
    pub mod http {
        //! Settings of the process.
        pub use crate::config::http::Log;
    }
    pub mod routes {
        //! Settings of routes.
        pub use crate::config::routes::{
            Backend, IdentityMode, PathNames, Policy, Route, RouteKind, Server,
        };
    }
}

pub mod credentials {
    //! What came with a request.
    pub use crate::credentials::{BearerToken, Credential, Presented, presented};
}

pub mod events {
    //! Events for other services.
    pub use crate::events::NoEvents;
}

pub mod gateway {
    //! A whole gateway.
    pub use crate::gateway::{Running, start};
}

pub mod headers {
    //! Which headers pass.
    pub use crate::headers::{Class, IdentityHeaders, Reserved, classify};
}

pub mod identity {
    //! What backends are told.
    pub use crate::identity::{Minter, NoHomes};
}

pub mod login {
    //! Who sent a credential.
    pub use crate::login::{Authenticators, Oidc};
}

pub mod model {
    //! The words everything is said in.
    pub use crate::model::{
        Account, Address, ClaimPath, Claims, Clock, Endpoint, ExternalIdentity, Group, Protocol,
        Reason, Role, ServiceName, StoredRole, UserType,
    };
}

pub mod pipeline {
    //! A worker's own map of sessions.
    pub use crate::pipeline::WorkerSessions;
}

pub mod reload {
    //! Where a configuration comes from.
    pub use crate::reload::Source;
}

pub mod roles {
    //! The rules of roles.
    pub use crate::roles::RoleRules;
}

pub mod routes {
    //! Paths and routes.
    pub use crate::routes::{NormalPath, Root, Table, upstream_target};
}

pub mod rpc {
    //! Calls to the services of a deployment.
    pub use crate::rpc::{Channels, RpcError};
    pub mod cs3 {
        //! The CS3 gateway.
        pub use crate::rpc::cs3::{
            Authentication, Claim, Credentials, Cs3, Home, Homes, MachineLogins, Reference,
            Refused, ResourceId, ServiceAccount,
        };
    }
    pub mod graph {
        //! libregraph.
        pub use crate::rpc::graph::Graph;
    }
    pub mod policies {
        //! The policies service.
        pub use crate::rpc::policies::{Policies, Question};
    }
    pub mod settings {
        //! The settings service.
        pub use crate::rpc::settings::Settings;
    }
}

pub mod services {
    //! Names and addresses.
    pub use crate::services::Directory;
}

pub mod session {
    //! Sessions and their set-up.
    pub use crate::session::{Digest, Digester, Verdict};
    pub mod live {
        //! Accounts in use.
        pub use crate::session::live::LiveAccounts;
    }
    pub mod loader {
        //! The set-up.
        pub use crate::session::loader::Loader;
    }
    pub mod rules {
        //! What a session has to meet.
        pub use crate::session::rules::Rules;
    }
    pub mod store {
        //! The cache.
        pub use crate::session::store::Sessions;
    }
}

pub mod stores {
    //! What is kept for several processes.
    pub mod record {
        //! Its form.
        pub use crate::stores::record::{envelope, stored_key};
    }
}

pub mod telemetry {
    //! The log.
    pub use crate::telemetry::Log;
}

pub mod trust {
    //! Certificates.
    pub use crate::trust::unverified;
}

pub mod upstream {
    //! Heads for backends.
    pub use crate::upstream::{Ingress, backend_headers};
}
