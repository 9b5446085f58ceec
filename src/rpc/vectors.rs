//! Recorded calls to a real OpenCloud, tests/data/opencloud: what went over the wire, and what came back.

use data_encoding::HEXLOWER;
use prost::Message;
use serde_json::Value;

/// One call.
pub(super) struct Vector {
    /// What it shows.
    pub(super) name: String,
    value: Value,
}

/// The recorded calls of one service.
pub(super) fn of(service: &str) -> Vec<Vector> {
    let path = format!(
        "{}/tests/data/opencloud/{service}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap();
    let all: Vec<Value> = serde_json::from_str(&text).unwrap();
    let vector = |value: Value| Vector {
        name: value["name"].as_str().unwrap().to_owned(),
        value,
    };
    all.into_iter().map(vector).collect()
}

impl Vector {
    /// The method's name.
    pub(super) fn method(&self) -> &str {
        self.value["method"].as_str().unwrap()
    }

    /// Whether there is a message in the answer.
    pub(super) fn is_answered(&self) -> bool {
        self.value["grpc_status"] == "OK"
    }

    /// A text of the request as it was meant.
    pub(super) fn text(&self, field: &str) -> String {
        self.value["request"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The request's bytes as a message.
    pub(super) fn request<M: Message + Default>(&self) -> M {
        M::decode(self.bytes("request_hex").as_slice()).unwrap()
    }

    /// The answer's bytes as a message.
    pub(super) fn answer<M: Message + Default>(&self) -> M {
        M::decode(self.bytes("response_hex").as_slice()).unwrap()
    }

    /// The message is the recorded request, byte for byte.
    pub(super) fn assert_request(&self, message: &impl Message) {
        let (ours, theirs) = (message.encode_to_vec(), self.bytes("request_hex"));
        let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
        assert_eq!(hex(&ours), hex(&theirs), "{}", self.name);
    }

    /// Reading the recorded answer loses nothing.
    pub(super) fn assert_answer<M: Message + Default>(&self) {
        let mut again = self.answer::<M>().encode_to_vec();
        let mut theirs = self.bytes("response_hex");
        if again != theirs {
            // A map has no order: the same bytes in another one.
            again.sort_unstable();
            theirs.sort_unstable();
        }
        let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
        assert_eq!(hex(&again), hex(&theirs), "{}", self.name);
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        let text = self.value[field].as_str().unwrap_or_default();
        HEXLOWER.decode(text.as_bytes()).unwrap()
    }
}
