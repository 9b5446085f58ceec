"""Messages of CS3 as the published Python bindings read and write them: `python python_cs3.py`, one JSON object a line.

`{"message": NAME, "hex": BYTES}` is answered by the fields, `{"message": NAME, "fields": {...}}` by the bytes. Bytes with a
field that the bindings do not know, or that they would write otherwise, are an error.
"""

import json
import sys

import cs3.gateway.v1beta1.gateway_api_pb2  # noqa: F401  it brings the others along
from google.protobuf import descriptor_pool, json_format, message_factory


def answer(question):
    descriptor = descriptor_pool.Default().FindMessageTypeByName(question["message"])
    message = message_factory.GetMessageClass(descriptor)()
    if "fields" in question:
        json_format.ParseDict(question["fields"], message)
        return {"hex": message.SerializeToString(deterministic=True).hex()}
    given = bytes.fromhex(question["hex"])
    message.ParseFromString(given)
    message.DiscardUnknownFields()
    again = message.SerializeToString(deterministic=True)
    if again != given:
        return {"error": f"{question['message']}: {given.hex()} would be {again.hex()}"}
    return {"fields": json_format.MessageToDict(message, preserving_proto_field_name=True)}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
