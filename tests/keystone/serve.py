"""A real Keystone for the tests: the packages of requirements.txt, SQLite, free ports on the loopback.

    serve.py DIRECTORY [--expiration SECONDS]

The first start makes a database with projects, users and roles below DIRECTORY; each start serves a copy of
its own. It prints one line of JSON when it is ready, and ends when its standard input ends, so that it never
outlives the test that started it. Over https it wants a client certificate; the certificates are made anew.
"""

import argparse
import contextlib
import datetime
import fcntl
import getpass
import hashlib
import ipaddress
import json
import os
import pathlib
import shutil
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import wsgiref.simple_server

PASSWORD = "keystone-secret"  # of everybody; this Keystone is gone with its test

# Name, project, role: the shapes that fm-rest-api tells apart.
USERS = [
    ("fm", "services", "admin"),
    ("fm-admin", "admin", "admin"),
    ("fm-chart", "service", "admin"),
    ("configurator", "admin", "configurator"),
    ("operator", "services", "operator"),
    ("reader", "services", "reader"),
    # For tests that change or lock an account.
    ("rotating", "services", "admin"),
    ("locked", "services", "admin"),
    ("revoked", "services", "admin"),
    ("disabled", "services", "admin"),
]

CONFIGURATION = """
[DEFAULT]
log_file = {log}
[database]
connection = sqlite:///{directory}/keystone.db
[fernet_tokens]
key_repository = {directory}/fernet
[fernet_receipts]
key_repository = {directory}/receipts
[credential]
key_repository = {directory}/credential
[token]
expiration = {expiration}
[cache]
# Without one a token takes a hundred times longer to be checked. One process: it is right at once.
enabled = true
backend = dogpile.cache.memory
[security_compliance]
lockout_failure_attempts = 5
lockout_duration = 1800
[identity]
password_hash_rounds = 4
[oslo_messaging_notifications]
driver = noop
"""


def configure(directory: pathlib.Path, expiration: int) -> pathlib.Path:
    for keys in ("fernet", "receipts", "credential"):
        (directory / keys).mkdir(mode=0o700, exist_ok=True)
    path = directory / "keystone.conf"
    log = directory / "keystone.log"
    path.write_text(CONFIGURATION.format(directory=directory, log=log, expiration=expiration))
    return path


def application(configuration: pathlib.Path):
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = str(configuration)
    sys.argv = ["keystone"]
    from keystone.server.wsgi import initialize_public_application

    return initialize_public_application()


def manage(configuration: pathlib.Path, *arguments: str) -> None:
    program = pathlib.Path(sys.executable).with_name("keystone-manage")
    command = [program, "--config-file", configuration, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"keystone-manage {arguments[0]} failed with {done.returncode}:\n{done.stdout}")


class Administrator:
    """Calls the API of an application in this process."""

    def __init__(self, app) -> None:
        from werkzeug.test import Client

        self.client = Client(app)
        domain = {"name": "Default"}
        user = {"name": "admin", "domain": domain, "password": PASSWORD}
        auth = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": domain}},
        }
        answer = self.client.post("/v3/auth/tokens", json={"auth": auth})
        self.headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        answer = self.client.open("/v3" + path, method=method, json=body, headers=self.headers)
        if answer.status_code >= 300:
            sys.exit(f"{method} {path}: {answer.status}: {answer.text}")
        return answer.json if answer.data else {}

    def ids(self, kind: str) -> dict[str, str]:
        return {each["name"]: each["id"] for each in self.call("GET", f"/{kind}s")[f"{kind}s"]}

    def create(self, kind: str, **fields: object) -> str:
        return self.call("POST", f"/{kind}s", {kind: fields})[kind]["id"]


def populate(app) -> None:
    keystone = Administrator(app)
    for name in {project for _, project, _ in USERS} - keystone.ids("project").keys():
        keystone.create("project", name=name, domain_id="default")
    for name in {role for _, _, role in USERS} - keystone.ids("role").keys():
        keystone.create("role", name=name)
    projects, roles = keystone.ids("project"), keystone.ids("role")
    for name, project, role in USERS:
        user = keystone.create("user", name=name, password=PASSWORD, domain_id="default")
        keystone.call("PUT", f"/projects/{projects[project]}/users/{user}/roles/{roles[role]}")
    keystone.create("service", type="faultmanagement", name="fm")


def template(directory: pathlib.Path) -> pathlib.Path:
    """The database and keys that each start copies; made anew when this file has changed."""
    made = directory / "template"
    stamp = made / "made-by"
    this = hashlib.sha256(pathlib.Path(__file__).read_bytes() + sys.prefix.encode()).hexdigest()
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "template.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == this:
            return made
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        configuration = configure(made, 3600)
        owner = ["--keystone-user", getpass.getuser(), "--keystone-group", str(os.getgid())]
        manage(configuration, "db_sync")
        manage(configuration, "fernet_setup", *owner)
        bootstrap = ["--bootstrap-password", PASSWORD, "--bootstrap-region-id", "RegionOne"]
        manage(configuration, "bootstrap", *bootstrap)
        # A process of its own: Keystone's configuration is one for each process.
        subprocess.run([sys.executable, __file__, "--populate", configuration], check=True)
        stamp.write_text(this)
    return made


def certificates(directory: pathlib.Path) -> None:
    """ca, server and client; another-ca and another-client, which the server does not trust."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.timezone.utc)

    def make(name: str, issuer=None):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        by, signer = (subject, key) if issuer is None else (issuer[0].subject, issuer[1])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(by)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=12))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if issuer is not None:
            loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        certificate = builder.sign(signer, hashes.SHA256())
        (directory / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (directory / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate, key

    authority = make("ca")
    make("server", authority)
    make("client", authority)
    make("another-client", make("another-ca"))


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 64
    tls: ssl.SSLContext | None = None

    def finish_request(self, request, client_address) -> None:
        # On the connection's own thread: a client that does not shake hands holds up nobody.
        with contextlib.suppress(ssl.SSLError, OSError):
            request.settimeout(30)
            if self.tls is not None:
                request = self.tls.wrap_socket(request, server_side=True)
            super().finish_request(request, client_address)
            if self.tls is not None:
                request.unwrap()


class Handler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        print(format % arguments, file=sys.stderr, flush=True)


def listen(app) -> Server:
    return wsgiref.simple_server.make_server("127.0.0.1", 0, app, Server, Handler)


def one_by_one(app):
    """Two writers of one SQLite file may lock each other out, which Keystone answers with a 500."""
    turn = threading.Lock()

    def one(environ, start_response):
        with turn:
            return list(app(environ, start_response))

    return one


def serve(app, directory: pathlib.Path) -> None:
    certificates(directory)
    app = one_by_one(app)
    plain, secure = listen(app), listen(app)
    secure.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.tls.load_cert_chain(directory / "server.pem", directory / "server.key")
    secure.tls.load_verify_locations(directory / "ca.pem")
    secure.tls.verify_mode = ssl.CERT_REQUIRED
    for server in (plain, secure):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    ready = {
        "url": f"http://127.0.0.1:{plain.server_port}/v3",
        "secure_url": f"https://127.0.0.1:{secure.server_port}/v3",
        "directory": str(directory),
        "password": PASSWORD,
    }
    print(json.dumps(ready), flush=True)
    sys.stdin.buffer.read()


def main() -> None:
    parser = argparse.ArgumentParser(description="A real Keystone for the tests")
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--expiration", type=int, default=3600, help="seconds a token lives")
    parser.add_argument("--populate", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.populate:
        populate(application(arguments.directory))
        return
    made = template(arguments.directory.resolve())
    with tempfile.TemporaryDirectory(prefix="keystone-", dir=arguments.directory.resolve()) as copy:
        directory = pathlib.Path(copy)
        shutil.copytree(made, directory, dirs_exist_ok=True)
        serve(application(configure(directory, arguments.expiration)), directory)


if __name__ == "__main__":
    main()
