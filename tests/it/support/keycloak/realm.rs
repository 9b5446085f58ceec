//! The admin API of a realm: people, groups, clients, keys.

use http::Request;
use serde_json::{Value, json};

use super::{Keycloak, PASSWORD, Realm, canary};

impl Realm<'_> {
    /// The issuer.
    pub(crate) fn url(&self) -> String {
        self.keycloak.issuer(&self.name)
    }

    /// The server it is at.
    pub(crate) fn keycloak(&self) -> &Keycloak {
        self.keycloak
    }

    pub(super) fn path(&self, what: &str) -> String {
        format!("/realms/{}/protocol/openid-connect/{what}", self.name)
    }

    /// A call of the admin API below this realm.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: &Value) -> Value {
        let token = self.keycloak.admin_token().await;
        let request = Request::builder()
            .method(method)
            .uri(format!("/admin/realms/{}{path}", self.name))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let reply = self.keycloak.send(request, body).await;
        let answer = reply.text();
        assert!(
            reply.status.is_success(),
            "{method} {path}: {} {answer}",
            reply.status
        );
        if let Some(location) = reply.headers.get("location") {
            let id = location.to_str().unwrap().rsplit('/').next().unwrap();
            return json!({ "id": id });
        }
        serde_json::from_slice(&reply.body).unwrap_or_default()
    }

    /// The one that is named so in a list of the admin API.
    async fn find(&self, list: &str, key: &str, name: &str) -> Value {
        let all = self.admin("GET", list, &Value::Null).await;
        let mut all = all.as_array().unwrap().iter();
        all.find(|one| one[key] == name)
            .unwrap_or_else(|| panic!("no {name} in {list}"))
            .clone()
    }

    /// Somebody with a realm role and in groups, and their id.
    pub(crate) async fn person(&self, name: &str, role: &str, groups: &[&str]) -> String {
        for group in groups {
            self.group(group).await;
        }
        self.member(name, role, groups).await
    }

    /// The same where the groups are there already.
    pub(crate) async fn member(&self, name: &str, role: &str, groups: &[&str]) -> String {
        let paths: Vec<String> = groups.iter().map(|group| format!("/{group}")).collect();
        let user = json!({"username": name, "enabled": true, "email": format!("{name}@example.org"),
            "emailVerified": true, "firstName": name, "lastName": "Lindqvist", "groups": paths,
            "credentials": [{"type": "password", "value": PASSWORD, "temporary": false}]});
        let id = self.admin("POST", "/users", &user).await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let role = self
            .admin("GET", &format!("/roles/{role}"), &Value::Null)
            .await;
        let path = format!("/users/{id}/role-mappings/realm");
        self.admin("POST", &path, &json!([role])).await;
        id
    }

    /// The id of a group, which is made if it is not there.
    pub(crate) async fn group(&self, name: &str) -> String {
        let known = self.admin("GET", "/groups", &Value::Null).await;
        let known = known
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == name);
        let id = match known {
            Some(known) => known["id"].clone(),
            None => self
                .admin("POST", "/groups", &json!({ "name": name }))
                .await["id"]
                .clone(),
        };
        id.as_str().unwrap().to_owned()
    }

    /// Its id, which is not the one that it names itself by.
    pub(crate) async fn client_id(&self, client: &str) -> String {
        let known = self.find("/clients?max=100", "clientId", client).await;
        known["id"].as_str().unwrap().to_owned()
    }

    /// Takes a default scope away from a client.
    pub(crate) async fn without_scope(&self, client: &str, scope: &str) {
        let client = self.client_id(client).await;
        let scope = self.find("/client-scopes", "name", scope).await;
        let scope = scope["id"].as_str().unwrap();
        let path = format!("/clients/{client}/default-client-scopes/{scope}");
        self.admin("DELETE", &path, &Value::Null).await;
    }

    /// Changes attributes or other members of a client.
    pub(crate) async fn change_client(&self, client: &str, changes: &Value) {
        let mut known = self.find("/clients?max=100", "clientId", client).await;
        for (name, value) in changes.as_object().unwrap() {
            match (known[name].as_object_mut(), value.as_object()) {
                (Some(members), Some(changes)) => members.extend(changes.clone()),
                _ => known[name] = value.clone(),
            }
        }
        let path = format!("/clients/{}", known["id"].as_str().unwrap());
        self.admin("PUT", &path, &known).await;
    }

    /// A confidential client with a service account and the audience of the others.
    pub(crate) async fn service_client(&self, name: &str, secret: &str) {
        canary::secret(secret);
        let audience = json!({"name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": "opencloud", "access.token.claim": "true"}});
        let client = json!({"clientId": name, "secret": secret, "publicClient": false, "serviceAccountsEnabled": true,
            "standardFlowEnabled": false, "protocolMappers": [audience]});
        self.admin("POST", "/clients", &client).await;
    }

    /// Adds a signing key that is used from now on, and returns its component.
    pub(crate) async fn new_key(&self, priority: u32) -> String {
        let realm = self.admin("GET", "", &Value::Null).await["id"].clone();
        let key = json!({"name": format!("key-{priority}"), "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider", "parentId": realm,
            "config": {"priority": [priority.to_string()], "enabled": ["true"], "active": ["true"],
                "keySize": ["2048"], "algorithm": ["RS256"]}});
        self.admin("POST", "/components", &key).await["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The component of the key that signs, besides those made here.
    pub(crate) async fn first_key(&self) -> String {
        let all = self
            .admin(
                "GET",
                "/components?type=org.keycloak.keys.KeyProvider",
                &Value::Null,
            )
            .await;
        let mut all = all.as_array().unwrap().iter();
        all.find(|one| one["providerId"] == "rsa-generated")
            .unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Makes a key passive or disables it.
    pub(crate) async fn set_key(&self, id: &str, active: bool, enabled: bool) {
        let path = format!("/components/{id}");
        let mut key = self.admin("GET", &path, &Value::Null).await;
        key["config"]["active"] = json!([active.to_string()]);
        key["config"]["enabled"] = json!([enabled.to_string()]);
        self.admin("PUT", &path, &key).await;
    }
}
