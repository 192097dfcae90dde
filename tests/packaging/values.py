"""Values that operators give: each kind of account, both domains, everything at once."""

from __future__ import annotations

from typing import Any

PASSWORD = {"account": "password", "authUrl": "https://keystone.example:5000/v3", "username": "fm", "projectName": "services"}
CREDENTIAL = {"account": "applicationCredential", "authUrl": "http://keystone.example/v3", "applicationCredentialId": "0f6a2c"}
TOKEN = {"account": "tokenFile"}
CLOUDS = {"account": "clouds", "secretKey": "clouds.yaml", "secureKey": "secure.yaml", "cloud": "platform"}
ACCOUNTS = {"password": PASSWORD, "applicationCredential": CREDENTIAL, "tokenFile": TOKEN, "clouds": CLOUDS}

# What the Secrets hold, by key.
FILES = {
    "secret": "canary-5d20\n",
    "clouds.yaml": "clouds: {platform: {auth: {auth_url: 'http://keystone.example/v3', username: fm, project_name: services}}}\n",
    "secure.yaml": "clouds: {platform: {auth: {password: canary-5d20}}}\n",
    "ca.crt": "",
    "tls.crt": "",
    "tls.key": "",
}


def rest(account: dict[str, Any], endpoint: str = "http://controller.example:18002") -> dict[str, Any]:
    """A domain over fm-rest-api with this account."""
    keystone = {"existingSecret": "fm-account", "secretKey": "secret", **account}
    return {"backend": "fmRestApi", "fmRestApi": {"endpoint": endpoint, "keystone": keystone}}


def everything() -> dict[str, Any]:
    """All that is optional, on."""
    platform = rest({**PASSWORD, "region": "RegionOne", "interface": "internal", "serviceType": "faultmanagement"}, "")
    platform["fmRestApi"]["tls"] = {"existingSecret": "fm-tls", "caKey": "ca.crt", "certKey": "tls.crt", "keyKey": "tls.key"}
    return {
        "image": {"repository": "registry.example/fm-agent", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "agent": {"log": "info,fm_agent::delivery=debug", "maxBytes": 2147483648, "maxRequests": 1000000, "highWater": 0.9},
        "access": {"read": ["everyone"], "write": ["root", "uid:1001", "gid:1002"], "admin": ["root", "group:root", "user:root"]},
        "audit": {"to": "/var/lib/fm-agent/audit.log"},
        "platform": platform,
        "openstack": rest(CLOUDS, "http://fm-rest-api.openstack.svc.cluster.local:18003"),
        "routes": [
            {"alarmId": "100.*", "entityInstanceId": "host=storage-*", "domain": "platform"},
            {"entityTypeId": 'quoted "instance" <&> \\', "domain": "openstack"},
        ],
        "metrics": {
            "enabled": True,
            "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "dashboard": {"enabled": True},
        },
        "networkPolicy": {
            "enabled": True,
            "controllers": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
            "cataloguePorts": [18002],
            "prometheus": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        },
        "hostNetwork": True,
        "serviceAccount": {"annotations": {"a": "b"}},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "affinity": {"nodeAffinity": {}},
        "podAnnotations": {"c": "d"},
        "podLabels": {"e": "f"},
    }


CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "manager": {"platform": {"backend": "fmManager", "fmManager": {"host": "controller"}}},
    "manager by address": {"platform": {"backend": "fmManager", "fmManager": {"host": "2001:db8::1"}}},
    "audit in the log": {"audit": {"to": "log"}, "agent": {"log": "warn", "highWater": 1}},
    "no account": {"platform": {"backend": "fmRestApi", "fmRestApi": {"endpoint": "http://[2001:db8::1]:18002/"}}},
    "everything": everything(),
    "without preparation": {"prepareDirectories": False, "serviceAccount": {"create": False, "name": "own"}},
    **{f"platform {name}": {"platform": rest(account)} for name, account in ACCOUNTS.items()},
    **{f"openstack {name}": {"openstack": rest(account)} for name, account in ACCOUNTS.items()},
    **{f"catalogue {name}": {"platform": rest(ACCOUNTS[name], "")} for name in ("password", "applicationCredential", "clouds")},
}
