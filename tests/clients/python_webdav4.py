"""The Python client webdav4, as a script and as a file system of fsspec: `python python_webdav4.py URL [TOKEN]`."""

import hashlib
import io
import json
import sys

from webdav4.client import Client
from webdav4.fsspec import WebdavFileSystem

url, token = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
headers = {"Authorization": "Bearer " + token} if token else {}
client = Client(url, headers=headers)
files = WebdavFileSystem(url, headers=headers)
large = b"davgate" * (1 << 20)


def step(name, act):
    """One line an operation; times and tags, which differ between two runs, are left out."""
    try:
        outcome = act()
    except Exception as error:  # pylint: disable=broad-except
        outcome = type(error).__name__ + ": " + str(error).replace(url, "URL")
    print(name, json.dumps(outcome, sort_keys=True, default=str))


def facts(entry):
    return [entry["name"], entry["type"], entry["content_length"]]


def put(path, content):
    client.upload_fileobj(io.BytesIO(content), path, overwrite=True)


def get(path):
    content = io.BytesIO()
    client.download_fileobj(path, content)
    return hashlib.sha256(content.getvalue()).hexdigest()


def read_range():
    with client.open("large.bin", mode="rb") as file:
        file.seek(1000)
        return file.read(70).decode()


# It sends a raw percent sign as it is, which no server can read.
step("percent", lambda: client.exists("100%.txt"))
step("exists", lambda: client.exists("nothing"))
step("mkdir", lambda: client.mkdir("folder"))
step("mkdir again", lambda: client.mkdir("folder"))
for name in ["plain.txt", "with blank.txt", "Büro & Söhne.txt", "+plus, (1).txt", "#hash.txt"]:
    step("put " + name, lambda: put("folder/" + name, name.encode()))
    step("get " + name, lambda: get("folder/" + name))
    step("size " + name, lambda: client.content_length("folder/" + name))
step("list", lambda: sorted(facts(entry) for entry in client.ls("folder")))
step("put large", lambda: put("large.bin", large))
step("get large", lambda: get("large.bin") == hashlib.sha256(large).hexdigest())
step("range", read_range)
step("copy", lambda: client.copy("folder", "copied"))
step("move", lambda: client.move("copied/with blank.txt", "moved ü.txt"))
step("move onto", lambda: client.move("moved ü.txt", "large.bin", overwrite=False))
step("find", lambda: sorted(files.find("")))
step("cat", lambda: files.cat("folder/plain.txt").decode())
step("info", lambda: files.info("large.bin")["size"])
step("remove", lambda: client.remove("copied"))
step("remove again", lambda: client.remove("copied"))
step("into nothing", lambda: put("nothing/a", b"a"))
step("left", lambda: sorted(facts(entry) for entry in client.ls("")))
